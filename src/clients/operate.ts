import type { Clock } from '../clock.ts'
import { ClientInvalid, NotFound, Refused } from '../errors.ts'
import {
  type ChangedClient,
  type ClientChange,
  changedClient,
  previousOf,
  readChange,
  withNewSecret,
} from './change.ts'
import type { Client, ClientMetadata } from './client.ts'
import { CLIENT_CACHE } from './client-adapter.ts'
import type { ClientStore } from './client-store.ts'
import { hasSecret, newClientId, newSecret, withoutEmpty, withResponseTypes } from './complete.ts'
import type { ClientContext } from './context.ts'
import { type PreviousSecret, previousSecrets, withPrevious } from './previous-secrets.ts'
import { asWritten, clientSchema } from './properties.ts'
import { clientViolations } from './validate.ts'

/** What operators do with clients. */

export interface ClientWork {
  readonly clients: ClientStore
  /** The ids of clients that the configuration defines. */
  readonly configured: readonly string[]
  readonly context: ClientContext
  /** Has oidc-provider build a client. @throws Refused */
  readonly assertAcceptable: (metadata: ClientMetadata) => Promise<void>
}

export interface AddedClient {
  readonly metadata: ClientMetadata
  /** Made here, to be shown once. */
  readonly generatedSecret: string | undefined
}

/**
 * Registers a client. An id and a secret that it needs and does not have are made.
 * @throws ClientInvalid with every problem; Refused where the id is taken
 */
export async function addClient(
  given: Readonly<Record<string, unknown>>,
  work: ClientWork,
): Promise<AddedClient> {
  const named = withResponseTypes({ client_id: newClientId(), ...withoutEmpty(given) })
  const isGenerated = !('client_secret' in named) && hasSecret(named)
  const generatedSecret = isGenerated ? newSecret() : undefined
  const complete = isGenerated ? { ...named, client_secret: generatedSecret } : named
  const metadata = checkedClient(complete, work)
  const id = metadata.client_id
  assertNotConfigured(id, work)
  await work.assertAcceptable(metadata)
  if (!(await work.clients.add(metadata))) {
    throw new Refused(
      'client_exists',
      { id },
      `There is a client ${id} already. One that is not found by its id was changed by somebody else and ` +
        'counts as absent; to make room, remove it.',
    )
  }
  return { metadata, generatedSecret }
}

/** @throws NotFound */
export async function findClient(id: string, clients: ClientStore): Promise<Client> {
  const client = await clients.find(id)
  if (client) return client
  throw noClient(id)
}

function noClient(id: string): NotFound {
  return new NotFound('client_not_found', { id }, `There is no client ${id}.`)
}

export interface UpdatedClient extends Pick<ChangedClient, 'changed' | 'secret'> {
  readonly metadata: ClientMetadata
  /** Made here, to be shown once. */
  readonly generatedSecret: string | undefined
}

/**
 * Changes properties of a client. Its secret stays, and so does all that it was given.
 * @throws ClientInvalid with every problem of the client as it would be; NotFound, Refused
 */
export async function updateClient(
  id: string,
  change: ClientChange,
  work: ClientWork,
): Promise<UpdatedClient> {
  const { clients, assertAcceptable } = work
  const freshSecret = newSecret()
  const decide = ({ metadata: known, source }: Client) => {
    assertNotConfigured(id, { ...work, source })
    const next = changedClient(known, readChange(id, change, known), freshSecret)
    const checked = checkedClient(next.metadata, work)
    return { ...next, metadata: withPrevious(checked, previousOf(known, next)) }
  }
  const first = decide(await findClient(id, clients))
  if (first.changed.length === 0 && first.secret !== 'new because needed') {
    return { ...first, generatedSecret: undefined }
  }
  await assertAcceptable(first.metadata)
  let last = first
  const updated = await clients.change(id, (known) => {
    last = decide(known)
    return last.metadata
  })
  if (!updated) throw noClient(id)
  const isNew = last.secret.startsWith('new')
  return { ...last, generatedSecret: isNew ? freshSecret : undefined }
}

export interface SecretOptions {
  /** Made if it is not given. */
  readonly secret?: string | undefined
  /** Seconds for which the secret before works too. */
  readonly overlap: number
  readonly now: number
}

export interface RenewedSecret {
  /** Made here, to be shown once. */
  readonly generatedSecret: string | undefined
  /** When those before end. */
  readonly previous: readonly PreviousSecret[]
}

/**
 * Gives a client another secret.
 * @throws ClientInvalid where it is no secret; NotFound, Refused
 */
export async function renewSecret(
  id: string,
  { secret: given, overlap, now }: SecretOptions,
  work: ClientWork,
): Promise<RenewedSecret> {
  const secret = given ?? newSecret()
  const updated = await changeSecrets(id, work, (known) => {
    const changed = withNewSecret(known, { secret, overlap, now })
    const wrong = clientViolations(asWritten(withPrevious(changed, [])), work.context).filter(
      ({ path }) => path === 'client_secret',
    )
    if (wrong.length > 0) throw new ClientInvalid(wrong)
    return changed
  })
  const generatedSecret = given === undefined ? secret : undefined
  return { generatedSecret, previous: previousSecrets(updated.metadata) }
}

/** Ends the secrets that work beside the newest. @throws NotFound, Refused */
export async function endPreviousSecrets(id: string, work: ClientWork): Promise<void> {
  await changeSecrets(id, work, (known) => withPrevious(known, []))
}

async function changeSecrets(
  id: string,
  work: Pick<ClientWork, 'clients' | 'configured'>,
  change: (known: ClientMetadata) => ClientMetadata,
): Promise<Client> {
  const updated = await work.clients.change(id, ({ metadata, source }) => {
    assertNotConfigured(id, { ...work, source })
    if (!hasSecret(metadata)) {
      const { token_endpoint_auth_method: method } = metadata
      const message = `Client ${id} has no secret: its token_endpoint_auth_method is ${method}.`
      throw new Refused('client_without_secret', { id }, message)
    }
    return change(metadata)
  })
  if (!updated) throw noClient(id)
  return updated
}

/** Seconds for which a request that has begun may still issue tokens. */
const UNDER_WAY = 1

export interface RemovalWork extends Pick<ClientWork, 'clients' | 'configured'> {
  /** Do all servers hear at once that a client was removed? Else they know it while their caches do. */
  readonly isHeard: () => boolean
  readonly clock: Pick<Clock, 'sleep'>
  /** Deletes what a client was given. */
  readonly forget: (clientId: string) => Promise<void>
}

/** Forgets a client, and all that it was given. @throws NotFound, Refused */
export async function removeClient(id: string, work: RemovalWork): Promise<void> {
  const { clients, isHeard, clock, forget } = work
  const isForged = (await clients.forged()).includes(id)
  const source = isForged ? 'operator' : (await findClient(id, clients)).source
  assertNotConfigured(id, { ...work, source })
  await clients.remove(id)
  const wait = (isHeard() ? 0 : CLIENT_CACHE) + UNDER_WAY
  await clock.sleep(wait, new AbortController().signal)
  // What servers that had not heard of it gave it meanwhile.
  await forget(id)
}

/** What is stored of metadata that is right. @throws ClientInvalid */
function checkedClient(
  metadata: Readonly<Record<string, unknown>>,
  { context }: Pick<ClientWork, 'context'>,
): ClientMetadata {
  const violations = clientViolations(metadata, context)
  if (violations.length > 0) throw new ClientInvalid(violations)
  return clientSchema.parse(metadata)
}

function assertNotConfigured(
  id: string,
  { configured, source }: Pick<ClientWork, 'configured'> & Partial<Pick<Client, 'source'>>,
): void {
  if (source !== 'config' && !configured.includes(id)) return
  throw new Refused(
    'client_in_configuration',
    { id },
    `Client ${id} is defined by the configuration, which is written into the store at every ` +
      'start. Change or remove it there, under clients, and restart.',
  )
}
