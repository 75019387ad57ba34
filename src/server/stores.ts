import type { AccountStore, ConsentStore } from '../accounts/account-store.ts'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { OnForgery } from '../artifacts/forgeries.ts'
import type { AuditStore } from '../audit/audit-store.ts'
import type { ClientStore } from '../clients/client-store.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { createAuthentic } from '../database/authentic.ts'
import { type AuthenticatedAnew, authenticateAnew } from '../database/authenticate-anew.ts'
import { openDatabase } from '../database/database.ts'
import { createDatabaseWatch, type DatabaseStatus } from '../database/database-status.ts'
import { galeraAdvice } from '../database/galera.ts'
import { createKnownIssuers } from '../database/known-issuers.ts'
import { migrate } from '../database/migrate.ts'
import { createSqlAccounts, createSqlConsents } from '../database/sql-accounts.ts'
import { createSqlAudit } from '../database/sql-audit.ts'
import { createClientStore } from '../database/sql-clients.ts'
import { createSqlNodes } from '../database/sql-nodes.ts'
import { type Messages, noMessages } from '../nodes/messages.ts'
import type { NodeStore } from '../nodes/node-store.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { redisOf } from '../redis/issuer-prefix.ts'
import type { DeploymentSecret } from '../ring/deployment.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { wholeStore } from '../ring/key-stores.ts'
import type { Protector } from '../ring/protector.ts'
import { createDeploymentSealer, type Sealer } from '../ring/sealer.ts'
import { environmentProtector, fileProtector } from '../seal/protector.ts'
import { assertNotEmptied } from '../witness/emptied-store.ts'
import type { Witness } from '../witness/witness.ts'
import { announceClients, announceKeys } from './announce.ts'
import { adoptUnowned, assertKnown, configuredIssuers, openSecretsOf } from './issuers.ts'
import { openArtifacts } from './open-artifacts.ts'
import { openKeyStores } from './open-key-store.ts'
import { openWitness } from './open-witness.ts'
import { createIssuerOperations, type IssuerOperations } from './rename-issuer.ts'

/** Stores that all issuers of a process share, opened once by server and CLI. */
export interface Stores {
  /** Stores of an issuer, the same object for each call. */
  of(issuer: string): IssuerStores
  readonly nodes: NodeStore
  /** Lists and renames issuers with records. */
  readonly issuers: IssuerOperations
  /** Connection of all issuers; undefined if the configuration names no Redis. */
  readonly redis: RedisConnection | undefined
  /** State of the database as its users see it. */
  readonly database: DatabaseStatus
  /** Advice about the database for operators, in words for the log of a start. */
  advise(): Promise<readonly string[]>
  /**
   * Opens the secret from which the keys for authenticating records are derived.
   * @throws the errors of `openSealer`
   */
  openSecret(): Promise<DeploymentSecret>
  /**
   * Authenticates people, consents and clients under a secret, independent of their earlier secret
   * (`database/authenticate-anew.ts`).
   * @throws StoreUnavailable
   */
  authenticateAnew(secret: DeploymentSecret): Promise<AuthenticatedAnew>
  /** Deletes at most `limit` expired sessions and tokens of any issuer. @returns their number */
  sweep(limit: number): Promise<number>
  /** Closes everything, of all issuers. */
  close(): Promise<void>
}

/** Stores of an issuer, which no other issuer can use, and those that all share. */
export interface IssuerStores extends Stores {
  readonly issuer: string
  readonly keys: KeyStore
  readonly clients: ClientStore
  readonly accounts: AccountStore
  readonly consents: ConsentStore
  /** Records of changes of `clients` and `accounts`. */
  readonly audit: AuditStore
  readonly artifacts: ArtifactStore
  /** Witness that remembers revocations outside the database; undefined if there is none. */
  readonly witness: Witness | undefined
  /**
   * The shared connection with the issuer's prefix; undefined if the configuration names no Redis.
   * Connects at its first use.
   */
  readonly redis: RedisConnection | undefined
  /** Messages to nodes of this issuer, which announce writes to `keys` and `clients`. */
  readonly messages: Messages
  /**
   * Opens the key-encryption keys and the secret of the deployment once; makes them on a first
   * start.
   * @throws KekMissing and similar errors, DeploymentSecretMissing, StoreOutdated if the store was
   * emptied
   */
  openSealer(): Promise<Sealer>
}

/**
 * @param onForgery called for records that fail their check
 * @param ofAnyIssuer true to accept records of issuers that are not configured
 * @throws StoreUnavailable; IssuerChanged, IssuerUnknown
 */
export async function openStores(
  config: Config,
  clock: Clock,
  onForgery: OnForgery = () => {},
  { ofAnyIssuer = false } = {},
): Promise<Stores> {
  const opened = new AsyncDisposableStack()
  try {
    const dataSource = await openDatabase(config.database)
    opened.defer(() => dataSource.destroy())
    await migrate(dataSource)
    const { redis, messages } = await openConfiguredRedis(config, clock)
    opened.defer(() => redis?.close())
    opened.defer(() => messages?.close())
    const database = createDatabaseWatch(clock)
    const { watched } = database
    const known = createKnownIssuers(dataSource)
    const configured = configuredIssuers(config)
    const issuersAndKeys = { dataSource, known, issuers: configured }
    const keyStores = await openKeyStores(config.keyStore, issuersAndKeys)
    const check = ofAnyIssuer ? adoptUnowned : assertKnown
    await check(configured, { known, keyStores })
    const openSecretsOnce = once(async () => {
      const witnesses = configured.flatMap((issuer) => of(issuer).witness ?? [])
      for (const witness of witnesses) await assertNotEmptied(witness, wholeStore(keyStores))
      const protector = protectorOf(config)
      return openSecretsOf(configured, { known, keyStores, protector, clock })
    })
    const place = await openArtifacts(config, { clock, redis, watched })
    opened.defer(() => place.close())

    const shared = {
      redis,
      nodes: watched(createSqlNodes(dataSource)),
      database,
      issuers: createIssuerOperations({
        known,
        keyStores,
        openSecrets: openSecretsOnce,
        witnessOf: (issuer) => of(issuer).witness,
      }),
      advise: () => galeraAdvice(dataSource, config.database.timeout),
      authenticateAnew: (secret) => authenticateAnew(dataSource, secret),
      openSecret: async () => (await openSecretsOnce()).deployment,
      sweep: (limit) => place.sweep(limit),
      close: () => opened.disposeAsync(),
    } satisfies Partial<Stores>

    const openIssuer = (issuer: string): IssuerStores => {
      const own = redis && redisOf(redis, issuer)
      const told = own && messages ? messages.at(own.prefix) : noMessages
      // Failures of a key store elsewhere say nothing about the database.
      const isInDatabase = config.keyStore.type === 'database'
      const keyStore = keyStores.of(issuer)
      const keys = announceKeys(isInDatabase ? watched(keyStore) : keyStore, told)
      const witness = openWitness(config, issuer, own)
      const openSealerOnce = once(async () => {
        const { keys: sealer, deployment } = await openSecretsOnce()
        return createDeploymentSealer(sealer, deployment.of(issuer))
      })
      const openSecret = async () => (await openSealerOnce()).deployment
      const authentic = createAuthentic({ issuer, openSecret, onForgery })
      const artifacts = place.of(authentic)
      const clients = createClientStore({ dataSource, artifacts, authentic, clock })
      return {
        ...shared,
        of,
        issuer,
        keys,
        clients: announceClients(watched(clients), told),
        accounts: watched(createSqlAccounts(dataSource, authentic, place)),
        consents: watched(createSqlConsents(dataSource, authentic, place)),
        audit: watched(createSqlAudit(dataSource, authentic)),
        artifacts,
        witness,
        redis: own,
        messages: told,
        openSealer: openSealerOnce,
      }
    }
    const issuers = new Map<string, IssuerStores>()
    const of = (issuer: string): IssuerStores => {
      const stores = issuers.get(issuer) ?? openIssuer(issuer)
      issuers.set(issuer, stores)
      return stores
    }
    return { ...shared, of }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** The protector that the configuration names. */
export function protectorOf({ seal: { protector, file, keys } }: Pick<Config, 'seal'>): Protector {
  return protector === 'file' ? fileProtector(file) : environmentProtector(keys ?? undefined)
}

/** Memoizes work that succeeded. */
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

/** Loads the driver of Redis only if it is used, because commands start faster without it. */
async function openConfiguredRedis({ redis: { url, ...where } }: Config, clock: Clock) {
  if (url === null) return {}
  const { openRedis } = await import('../redis/connection.ts')
  const { createRedisMessages } = await import('../redis/messages.ts')
  const redis = openRedis({ url, ...where }, clock)
  return { redis, messages: createRedisMessages(redis) }
}
