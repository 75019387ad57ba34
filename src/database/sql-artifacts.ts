import type { AdapterPayload } from 'oidc-provider'
import { createArtifactAdapter } from '../artifacts/artifact-adapter.ts'
import {
  type ArtifactRecord,
  createConsumptionMark,
  type FoundRecord,
  GRACE,
  GRANT,
  UNDO_WORDS,
} from '../artifacts/artifact-record.ts'
import type { ArtifactStore, Undo } from '../artifacts/artifact-store.ts'
import { createExchange, exchangeInSteps, type SteppedArtifacts } from '../artifacts/exchange.ts'
import { CLIENT_CACHE, clientAdapter, KNOWN_CLIENTS } from '../clients/client-adapter.ts'
import { withoutEnded } from '../clients/previous-secrets.ts'
import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import type { ArtifactPlace } from './artifact-place.ts'
import { type ArtifactKey, type ArtifactTable, OWNER_COLUMNS } from './artifact-table.ts'
import type { Authentic } from './authentic.ts'
import { attempt, attemptIdempotent, attemptRead } from './failures.ts'
import { forgetInBatches } from './forget.ts'
import { isStorable } from './look-up.ts'
import { shareStatements } from './shared-statements.ts'

/** Most seconds that a request may be queued. */
const QUEUE_LIMIT = 5

/** Stores artifacts in the table of a database server. */
export function createSqlArtifacts(table: ArtifactTable, clock: Clock): ArtifactPlace {
  // The requests of all issuers share statements.
  const shared = shareTable(table, clock)
  return {
    of: (authentic) => artifactsOf(authentic, { ...shared, table, clock }),
    sweep: (limit) =>
      attempt('delete what has expired', () => table.sweep(clock.now() - GRACE, limit)),
    close: () => table.close(),
  }
}

type Shared = ReturnType<typeof shareTable>

interface Opened extends Shared {
  readonly table: ArtifactTable
  readonly clock: Clock
}

function artifactsOf(authentic: Authentic, opened: Opened): ArtifactStore {
  const { table, clock } = opened
  const clients = createClientCache(table, authentic, clock)
  const storedOf = (model: string) => storedArtifacts(model, opened)
  return {
    adapter: (model) =>
      model === 'Client'
        ? clients.adapter
        : createArtifactAdapter(model, storedOf(model), { authentic, clock }),
    exchange: createExchange(exchangeInSteps(storedOf), { authentic, clock }),
    forget: async (owner, id) => {
      const { artifacts } = await authentic.open()
      const theirs = { column: OWNER_COLUMNS[owner], name: artifacts.ownerName(owner, id) }
      const use = createConsumptionMark(clock.now())
      await forgetInBatches(
        (after) => attemptIdempotent('end sessions', () => table.endSessions(theirs, after, use)),
        (after) =>
          attemptIdempotent('delete sessions and tokens', () => table.forget(theirs, after)),
      )
    },
    forgetClients: clients.forget,
  }
}

/** The statements that requests share. */
function shareTable(table: ArtifactTable, { elapsed }: Clock) {
  const { batch: take } = table
  const late = () =>
    new StoreUnavailable(
      `Cannot query the database: requests have been queued for more than ${QUEUE_LIMIT} s.`,
    )
  const limit = { seconds: QUEUE_LIMIT, elapsed, late }
  return {
    find: shareStatements<ArtifactKey, FoundRecord | undefined>({
      take,
      limit,
      run: async (keys) => {
        const rows = await attemptRead('read sessions and tokens', () => table.find(unique(keys)))
        const found = new Map(rows.map((row) => [row.id, row]))
        return keys.map((key) => found.get(key.id))
      },
    }),
    upsert: shareStatements<ArtifactRecord, void>({
      take,
      limit,
      run: async (records) => {
        await attemptIdempotent('save sessions and tokens', () => table.upsert(merge(records)))
        return records.map(() => undefined)
      },
    }),
    // Shared, because oidc-provider revokes a grant once for each model at the same time.
    revoke: shareStatements<string, void>({
      take,
      limit,
      run: async (grantIds) => {
        await attemptIdempotent('revoke a grant', () => table.revoke([...new Set(grantIds)]))
        return grantIds.map(() => undefined)
      },
    }),
  }
}

/** The records of one model. */
function storedArtifacts(
  model: string,
  { table, find, upsert, revoke, clock }: Opened,
): SteppedArtifacts {
  const findBy = (column: 'uid' | 'user_code', hash: string) =>
    attemptRead('read sessions and tokens', () => table.findBy(column, model, hash))
  /**
   * @returns true if this call consumed the record, otherwise its grant; undefined if there is no
   * record
   */
  const consume = (
    id: string,
    noteUndo: ((undo: Undo) => void) | undefined,
  ): Promise<true | string | null | undefined> => {
    const key = { model, id }
    const use = createConsumptionMark(clock.now())
    noteUndo?.(() => attemptIdempotent(UNDO_WORDS, () => table.unconsume(key, use)))
    return attemptIdempotent('consume a code or a token', async () =>
      (await table.consume(key, use)) ? true : table.grantOf(key),
    )
  }
  const isFirst = (grantId: true | string | null | undefined) =>
    grantId === undefined ? undefined : grantId === true
  return {
    save: upsert,
    saveOnce: (record, now) =>
      attempt('save what may be there once', () => table.insertOnce(record, now)),
    find: (id) => find({ model, id }),
    findByUid: (hash) => findBy('uid', hash),
    findByUserCode: (hash) => findBy('user_code', hash),
    consume: async (id, noteUndo) => isFirst(await consume(id, noteUndo)),
    consumeOrRevoke: async (id, noteUndo) => {
      const grantId = await consume(id, noteUndo)
      if (typeof grantId === 'string') {
        // The grant first, because everything issued under it is invalid without it.
        await attemptIdempotent('revoke a grant', () =>
          table.destroy({ model: GRANT, id: grantId }),
        )
        await revoke(grantId)
      }
      return isFirst(grantId)
    },
    consumeAgain: (id, at) => {
      const use = createConsumptionMark(at)
      return attemptIdempotent('consume a code or a token', () =>
        table.consumeAgain({ model, id }, use),
      )
    },
    destroy: (id) =>
      attemptIdempotent('delete a session or a token', () => table.destroy({ model, id })),
    revoke,
  }
}

/** The keys without duplicates. The id is enough, because it is a hash of the model too. */
function unique<T extends ArtifactKey>(keys: readonly T[]): readonly T[] {
  return [...new Map(keys.map((key) => [key.id, key])).values()]
}

/**
 * The records without duplicates: the last saved one, consumed if any of them was. Sorted by id, so
 * that two statements with the same records wait for each other instead of a deadlock.
 */
function merge(records: readonly ArtifactRecord[]): readonly ArtifactRecord[] {
  const merged = new Map<string, ArtifactRecord>()
  for (const record of records) {
    const before = merged.get(record.id)
    const consumedAt = before?.consumedAt ?? record.consumedAt
    merged.set(record.id, before ? { ...record, consumedAt } : record)
  }
  return [...merged.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Clients in memory, for CLIENT_CACHE seconds. */
function createClientCache(table: ArtifactTable, authentic: Authentic, clock: Clock) {
  interface Known {
    readonly metadata: Promise<AdapterPayload | undefined>
    readonly until: number
  }
  let known = new Map<string, Known>()

  async function read(id: string): Promise<AdapterPayload | undefined> {
    if (!isStorable(id)) return undefined
    const { clients } = await authentic.open()
    return clients.toPayload(
      await attemptRead('read a client', () => table.client(authentic.issuer, id)),
    )
  }

  const current = (found: AdapterPayload | undefined) => found && withoutEnded(found, clock.now())

  async function find(id: string): Promise<AdapterPayload | undefined> {
    const { elapsed } = clock
    const kept = known.get(id)
    if (kept && kept.until > elapsed()) return current(await kept.metadata)
    // Requests that arrive meanwhile wait for the same answer, but not those after `forget`.
    const asked = known
    if (asked.size >= KNOWN_CLIENTS) asked.clear()
    const metadata = read(id)
    asked.set(id, { metadata, until: elapsed() + CLIENT_CACHE })
    try {
      const found = await metadata
      // Unknown clients are not cached, because they may be added at any moment.
      if (!found) asked.delete(id)
      return current(found)
    } catch (error) {
      asked.delete(id)
      throw error
    }
  }

  return {
    adapter: clientAdapter(find),
    forget: () => {
      known = new Map()
    },
  }
}
