import { SHOWN_SECRET } from '../clients/change.ts'
import type { UpdatedClient } from '../clients/operate.ts'
import {
  type PreviousSecret,
  previousSecrets,
  withoutEnded,
  withPrevious,
} from '../clients/previous-secrets.ts'
import { asWritten } from '../clients/properties.ts'
import { toRfc3339 } from '../clock.ts'
import type { Metadata } from './client-options.ts'
import { type JsonOption, printJson } from './context.ts'
import type { Session } from './session.ts'
import { table } from './table.ts'
import { fromNow } from './words.ts'

/** Output of the commands about clients. */

type Client = Awaited<ReturnType<Session['stores']['clients']['list']>>[number]

export function printClients(
  clients: readonly Client[],
  session: Session,
  { json }: JsonOption,
): void {
  if (json) {
    const rows = clients.map((client) => clientRow(client, session.now))
    printJson(session, rows)
    return
  }
  if (clients.length === 0) {
    session.print('There are no clients. See: keyturn clients add')
    return
  }
  const rows = clients.map(({ id, metadata, source, updatedAt }) => [
    id,
    String(metadata.client_name ?? '-'),
    metadata.token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
    source === 'config' ? 'configuration' : 'operator',
    fromNow(updatedAt, session.now),
  ])
  session.print(table(['CLIENT', 'NAME', 'KIND', 'DEFINED BY', 'CHANGED'], rows, session))
}

export function printClient(stored: Client, session: Session, { json }: JsonOption): void {
  const client = clientRow(stored, session.now)
  if (json) {
    printJson(session, client)
    return
  }
  const by = client.source === 'config' ? 'the configuration' : 'an operator'
  session.print(`Defined by ${by}, changed ${client.updatedAt}.`)
  for (const { until } of client.previousSecrets) {
    session.print(`A previous secret works until ${until}.`)
  }
  session.print(JSON.stringify(client.metadata, null, 2))
}

/** Shows a generated secret, once. */
export function printSecret(session: Session, secret: string | undefined): void {
  if (secret !== undefined) session.print(`Secret ${secret}\nThe secret is shown only this once.`)
}

/** News about the secret of a changed client; undefined if it stays. */
export const SECRET_NEWS: Readonly<Record<UpdatedClient['secret'], string | undefined>> = {
  kept: undefined,
  none: undefined,
  dropped: 'The client no longer has a secret.',
  'new because needed': 'The client now authenticates with a secret.',
  'new because hashed':
    'The client has a new secret, because it now signs with the secret and only a hash of the previous one is stored.',
}

function clientRow({ id, metadata, source, updatedAt }: Client, now: number) {
  return {
    id,
    source,
    updatedAt: toRfc3339(updatedAt),
    metadata: shownMetadata(metadata),
    previousSecrets: ends(previousSecrets(withoutEnded(metadata, now))),
  }
}

/** The ends of previous secrets. */
export function ends(previous: readonly PreviousSecret[]) {
  return previous.map(({ until }) => ({ until: toRfc3339(until) }))
}

/** Metadata as people write them, with the secret masked. */
export function shownMetadata(metadata: Metadata): Metadata {
  const written = asWritten(withPrevious(metadata, []))
  return 'client_secret' in written ? { ...written, client_secret: SHOWN_SECRET } : written
}
