import type { Provider } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import { lookAgainForKeys } from './client-keys.ts'

/** Gives each client of an instance what oidc-provider has no setting for, when it is first found. */
export function equipClients({ Client }: Provider, clock: Pick<Clock, 'elapsed'>): void {
  const equipped = new WeakSet<object>()
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    const client = await find(id)
    if (client?.jwksUri === undefined || equipped.has(client)) return client
    equipped.add(client)
    lookAgainForKeys(client, clock)
    return client
  }
}
