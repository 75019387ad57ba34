import { hash } from 'node:crypto'
import type { AccountStore, ConsentStore } from '../accounts/account-store.ts'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { OnForgery } from '../artifacts/forgeries.ts'
import type { ClientStore } from '../clients/client-store.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { createAuthentic } from '../database/authentic.ts'
import { type AuthenticatedAnew, authenticateAnew } from '../database/authenticate-anew.ts'
import { openDatabase } from '../database/database.ts'
import { createDatabaseWatch, type DatabaseStatus } from '../database/database-status.ts'
import { galeraAdvice } from '../database/galera.ts'
import { migrate } from '../database/migrate.ts'
import { createSqlAccounts, createSqlConsents } from '../database/sql-accounts.ts'
import { createClientStore } from '../database/sql-clients.ts'
import { createSqlNodes } from '../database/sql-nodes.ts'
import { type Messages, noMessages } from '../nodes/messages.ts'
import type { NodeStore } from '../nodes/node-store.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { DeploymentSecret } from '../ring/deployment.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { openSealer, type Protector } from '../ring/protector.ts'
import type { Sealer } from '../ring/sealer.ts'
import { environmentProtector, fileProtector } from '../seal/protector.ts'
import type { Witness } from '../witness/witness.ts'
import { assertNotEmptied } from '../witness/witness-watch.ts'
import { announceClients, announceKeys } from './announce.ts'
import { openArtifacts } from './open-artifacts.ts'
import { openKeyStore } from './open-key-store.ts'
import { openWitness } from './open-witness.ts'

/** Everything a configuration keeps, opened; what the server and the CLI have in common. */
export interface Stores {
  readonly keys: KeyStore
  readonly clients: ClientStore
  readonly accounts: AccountStore
  readonly consents: ConsentStore
  readonly artifacts: ArtifactStore
  readonly nodes: NodeStore
  /** What remembers revocations outside the database; undefined where nothing does. */
  readonly witness: Witness | undefined
  /** Where the configuration names one. It connects when it is first needed. */
  readonly redis: RedisConnection | undefined
  /** What is written to `keys` and `clients` is announced here. */
  readonly messages: Messages
  /** How the database is for those who ask it things. */
  readonly database: DatabaseStatus
  /** What the database is, where an operator should know; in words, for the log of a start. */
  advise(): Promise<readonly string[]>
  /**
   * Opens the key-encryption keys and the secret of the deployment, once; on a first start, makes them.
   * @throws KekMissing and its like, DeploymentSecretMissing, StoreOutdated where the store was emptied
   */
  openSealer(): Promise<Sealer>
  /** Opens the secret from which the keys come that authenticate what the stores hold. @throws the same */
  openSecret(): Promise<DeploymentSecret>
  /**
   * Authenticates people, consents and clients under a secret, whatever they were authenticated under
   * before (`database/authenticate-anew.ts`). @throws StoreUnavailable
   */
  authenticateAnew(secret: DeploymentSecret): Promise<AuthenticatedAnew>
  close(): Promise<void>
}

/**
 * @param onForgery is told of records that fail their check
 * @throws StoreUnavailable
 */
export async function openStores(
  config: Config,
  clock: Clock,
  onForgery: OnForgery = () => {},
): Promise<Stores> {
  const opened = new AsyncDisposableStack()
  try {
    const dataSource = await openDatabase(config.database)
    opened.defer(() => dataSource.destroy())
    await migrate(dataSource)
    const { redis, messages } = await openConfiguredRedis(config, clock)
    opened.defer(() => redis?.close())
    opened.defer(() => messages.close())
    const database = createDatabaseWatch(clock)
    const { watched } = database
    const keyStore = await openKeyStore(config.keyStore, dataSource)
    // A store of keys that is elsewhere says nothing about the database.
    const isInDatabase = config.keyStore.type === 'database'
    const keys = announceKeys(isInDatabase ? watched(keyStore) : keyStore, messages)
    const witness = openWitness(config, redis)
    const openSealerOnce = once(async () => {
      if (witness) await assertNotEmptied(witness, keys)
      return openSealer(protectorOf(config), keys, clock)
    })
    const { issuer } = config
    const openSecret = async () => (await openSealerOnce()).deployment
    const authentic = createAuthentic({ issuer, openSecret, onForgery })
    const artifacts = await openArtifacts(config, { authentic, clock, redis, watched })
    opened.defer(() => artifacts.close())
    return {
      keys,
      clients: announceClients(
        watched(createClientStore({ dataSource, artifacts, authentic, clock })),
        messages,
      ),
      accounts: watched(createSqlAccounts(dataSource, authentic)),
      consents: watched(createSqlConsents(dataSource, authentic)),
      artifacts,
      nodes: watched(createSqlNodes(dataSource)),
      witness,
      redis,
      messages,
      database,
      advise: () => galeraAdvice(dataSource, config.database.timeout),
      openSealer: openSealerOnce,
      openSecret,
      authenticateAnew: (secret) => authenticateAnew(dataSource, secret),
      close: () => opened.disposeAsync(),
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** Where the key-encryption keys of a configuration come from. */
export function protectorOf({ seal: { protector, file, keys } }: Config): Protector {
  return protector === 'file' ? fileProtector(file) : environmentProtector(keys ?? undefined)
}

/** The same work, done once where it succeeds. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined
  return () => {
    done ??= work().catch((error: unknown) => {
      done = undefined
      throw error
    })
    return done
  }
}

/** Of the hash of an issuer: 72 bits, so that no two of one Redis are the same by chance. */
const ISSUER_LENGTH = 12

/**
 * What every key and channel in Redis begins with. Two deployments that share a Redis and its prefix have
 * neither tokens nor counts nor wake-ups in common, as the issuer is a part of it.
 */
function prefixOf(prefix: string, issuer: string): string {
  return `${prefix}${hash('sha256', issuer, 'base64url').slice(0, ISSUER_LENGTH)}:`
}

/** The driver of Redis is loaded only where it is used: commands start sooner without. */
async function openConfiguredRedis(
  { issuer, redis: { url, prefix, ...where } }: Config,
  clock: Clock,
) {
  if (url === null) return { redis: undefined, messages: noMessages }
  const { openRedis } = await import('../redis/connection.ts')
  const { createRedisMessages } = await import('../redis/messages.ts')
  const own = prefixOf(prefix, issuer)
  const redis = openRedis({ url, prefix: own, ...where }, clock)
  return { redis, messages: createRedisMessages(redis) }
}
