import { ordered } from '../audit/record.ts'
import { type Clock, toRfc3339 } from '../clock.ts'
import { ClientInvalid, NotFound, Refused, type Violation } from '../errors.ts'
import type { Order } from '../ring/orders.ts'
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

/** Orders of operators about clients. Each change is recorded with its order. */

export interface ClientWork {
  readonly clients: ClientStore
  readonly order: Order
  /** Present instant, the same for all steps of an order. */
  readonly now: number
  /** The ids of clients that the configuration defines. */
  readonly configured: readonly string[]
  readonly context: ClientContext
  /** Lets oidc-provider build the client, as a check. @throws Refused */
  readonly assertAcceptable: (metadata: ClientMetadata) => Promise<void>
}

/** Work for an order that needs no check of metadata. */
type OrderedWork = Pick<ClientWork, 'clients' | 'configured' | 'order' | 'now'>

export interface AddedClient {
  readonly metadata: ClientMetadata
  /** Made here, to be shown once. */
  readonly generatedSecret: string | undefined
}

/**
 * Registers a client. A missing client_id, and a missing secret if it needs one, are generated.
 * @throws ClientInvalid with every problem; Refused if the client_id is taken
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
  if (!(await work.clients.add(metadata, ordered('client_added', work)))) {
    throw new Refused(
      'client_exists',
      { id },
      `A client ${id} exists already. If it is not found by its client_id, somebody else changed its row, ` +
        'so that it counts as absent; remove it first.',
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
 * Changes properties of a client. Its grants and consents stay, and its secret if it is still of
 * use.
 * @throws ClientInvalid with every problem of the changed client; NotFound, Refused
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
    const checked = checkedClient(next.metadata, work, known)
    return { ...next, metadata: withPrevious(checked, previousOf(known, next)) }
  }
  const first = decide(await findClient(id, clients))
  if (first.changed.length === 0 && first.secret !== 'new because needed') {
    return { ...first, generatedSecret: undefined }
  }
  await assertAcceptable(first.metadata)
  let last = first
  const decideLast = (known: Client) => {
    last = decide(known)
    return last.metadata
  }
  const updated = await clients.change(id, decideLast, ordered('client_updated', work))
  if (!updated) throw noClient(id)
  const isNew = last.secret.startsWith('new')
  return { ...last, generatedSecret: isNew ? freshSecret : undefined }
}

export interface SecretOptions {
  /** Secret to use; generated if undefined. */
  readonly secret?: string | undefined
  /** Seconds for which the present secret still works. */
  readonly overlap: number
}

export interface RenewedSecret {
  /** Made here, to be shown once. */
  readonly generatedSecret: string | undefined
  /** Secrets that still work, with their ends. */
  readonly previous: readonly PreviousSecret[]
}

/**
 * Gives a client a new secret.
 * @throws ClientInvalid if the given secret breaks a rule; NotFound, Refused
 */
export async function renewSecret(
  id: string,
  { secret: given, overlap }: SecretOptions,
  work: ClientWork,
): Promise<RenewedSecret> {
  const { context, now } = work
  const secret = given ?? newSecret()
  const updated = await changeSecrets(id, 'client_secret_renewed', work, (known) => {
    const changed = withNewSecret(known, { secret, overlap, now })
    const wrong = clientViolations(asWritten(withPrevious(changed, [])), context).filter(
      ({ path }) => path === 'client_secret',
    )
    if (wrong.length > 0) throw new ClientInvalid(wrong)
    return changed
  })
  const generatedSecret = given === undefined ? secret : undefined
  return { generatedSecret, previous: previousSecrets(updated.metadata) }
}

/** Ends all previous secrets of a client. @throws NotFound, Refused */
export async function endPreviousSecrets(id: string, work: ClientWork): Promise<void> {
  await changeSecrets(id, 'client_secrets_ended', work, (known) => withPrevious(known, []))
}

async function changeSecrets(
  id: string,
  action: 'client_secret_renewed' | 'client_secrets_ended',
  work: OrderedWork,
  change: (known: ClientMetadata) => ClientMetadata,
): Promise<Client> {
  const decide = ({ metadata, source }: Client) => {
    assertNotConfigured(id, { ...work, source })
    if (!hasSecret(metadata)) {
      const { token_endpoint_auth_method: method } = metadata
      const message = `Client ${id} has no secret, because its token_endpoint_auth_method is ${method}.`
      throw new Refused('client_without_secret', { id }, message)
    }
    return change(metadata)
  }
  const updated = await work.clients.change(id, decide, ordered(action, work))
  if (!updated) throw noClient(id)
  return updated
}

/** Seconds for which a request under way may still issue tokens. */
const UNDER_WAY = 1

export interface RemovalWork extends OrderedWork {
  /** True if all servers hear of a removal at once, instead of when their caches expire. */
  readonly isHeard: () => boolean
  readonly clock: Pick<Clock, 'sleep'>
  /** Deletes tokens, grants and consents of a client. */
  readonly forget: (clientId: string) => Promise<void>
}

/** Removes a client with its tokens, grants and consents. @throws NotFound, Refused */
export async function removeClient(id: string, work: RemovalWork): Promise<void> {
  const { clients, isHeard, clock, forget } = work
  const isForged = (await clients.forged()).includes(id)
  const source = isForged ? 'operator' : (await findClient(id, clients)).source
  assertNotConfigured(id, { ...work, source })
  await clients.remove(id, ordered('client_removed', work))
  const wait = (isHeard() ? 0 : CLIENT_CACHE) + UNDER_WAY
  await clock.sleep(wait, new AbortController().signal)
  // Servers that had not heard of the removal may have issued more to the client meanwhile.
  await forget(id)
}

/**
 * The metadata as they are stored.
 * @param known metadata before the change, whose end of the secret may have passed since
 * @throws ClientInvalid
 */
function checkedClient(
  metadata: Readonly<Record<string, unknown>>,
  { context, now }: Pick<ClientWork, 'context' | 'now'>,
  known?: ClientMetadata,
): ClientMetadata {
  const { client_secret_expires_at: end } = metadata
  const isNew = end !== known?.client_secret_expires_at
  const violations = [...clientViolations(metadata, context), ...(isNew ? pastEnd(end, now) : [])]
  if (violations.length > 0) throw new ClientInvalid(violations)
  return clientSchema.parse(metadata)
}

function pastEnd(end: unknown, now: number): readonly Violation[] {
  if (typeof end !== 'number' || end <= 0 || end > now) return []
  const path = 'client_secret_expires_at'
  const message = `it is ${toRfc3339(end)}, which has passed, so the secret would never work`
  const fix = `set ${path} to an instant to come in seconds since 1970, or to 0 for never`
  return [{ path, value: end, rule: 'range', message, fix }]
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
