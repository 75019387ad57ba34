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
import { createKnownIssuers } from '../database/known-issuers.ts'
import { migrate } from '../database/migrate.ts'
import { createSqlAccounts, createSqlConsents } from '../database/sql-accounts.ts'
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
import type { Witness } from '../witness/witness.ts'
import { assertNotEmptied } from '../witness/witness-watch.ts'
import { announceClients, announceKeys } from './announce.ts'
import { adoptUnowned, assertKnown, configuredIssuers, openSecretsOf } from './issuers.ts'
import { openArtifacts } from './open-artifacts.ts'
import { openKeyStores } from './open-key-store.ts'
import { openWitness } from './open-witness.ts'
import { createIssuerOperations, type IssuerOperations } from './rename-issuer.ts'

/** What all issuers of a process share, opened once; what the server and the CLI have in common. */
export interface Stores {
  /** What belongs to one issuer. The same each time it is asked for. */
  of(issuer: string): IssuerStores
  readonly nodes: NodeStore
  /** Whose anything is here, and another URL for one of them. */
  readonly issuers: IssuerOperations
  /** The connection that all share; undefined where the configuration names no Redis. */
  readonly redis: RedisConnection | undefined
  /** How the database is for those who ask it things. */
  readonly database: DatabaseStatus
  /** What the database is, where an operator should know; in words, for the log of a start. */
  advise(): Promise<readonly string[]>
  /**
   * Opens the secret from which the keys come that authenticate what the stores hold.
   * @throws what `openSealer` throws
   */
  openSecret(): Promise<DeploymentSecret>
  /**
   * Authenticates people, consents and clients under a secret, whatever they were authenticated under
   * before (`database/authenticate-anew.ts`). @throws StoreUnavailable
   */
  authenticateAnew(secret: DeploymentSecret): Promise<AuthenticatedAnew>
  /** Deletes at most `limit` sessions and tokens that have expired, of any issuer. @returns how many */
  sweep(limit: number): Promise<number>
  /** Closes everything, of all issuers. */
  close(): Promise<void>
}

/** What belongs to one issuer, and what it shares with the others. No other issuer sees any of it. */
export interface IssuerStores extends Stores {
  readonly issuer: string
  readonly keys: KeyStore
  readonly clients: ClientStore
  readonly accounts: AccountStore
  readonly consents: ConsentStore
  readonly artifacts: ArtifactStore
  /** What remembers revocations outside the database; undefined where nothing does. */
  readonly witness: Witness | undefined
  /**
   * The connection that all share, with a prefix of the issuer's own; undefined where the configuration
   * names no Redis. It connects when it is first needed.
   */
  readonly redis: RedisConnection | undefined
  /** What is written to `keys` and `clients` is announced here, to nodes of this issuer. */
  readonly messages: Messages
  /**
   * Opens the key-encryption keys and the secret of the deployment, once; on a first start, makes them.
   * @throws KekMissing and its like, DeploymentSecretMissing, StoreOutdated where the store was emptied
   */
  openSealer(): Promise<Sealer>
}

/**
 * @param onForgery is told of records that fail their check
 * @param ofAnyIssuer also where what is kept is of other issuers than those that are configured
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
      // A store of keys that is elsewhere says nothing about the database.
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
        accounts: watched(createSqlAccounts(dataSource, authentic)),
        consents: watched(createSqlConsents(dataSource, authentic)),
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

/** Where the key-encryption keys of a configuration come from. */
export function protectorOf({ seal: { protector, file, keys } }: Pick<Config, 'seal'>): Protector {
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

/** The driver of Redis is loaded only where it is used: commands start sooner without. */
async function openConfiguredRedis({ redis: { url, ...where } }: Config, clock: Clock) {
  if (url === null) return {}
  const { openRedis } = await import('../redis/connection.ts')
  const { createRedisMessages } = await import('../redis/messages.ts')
  const redis = openRedis({ url, ...where }, clock)
  return { redis, messages: createRedisMessages(redis) }
}
