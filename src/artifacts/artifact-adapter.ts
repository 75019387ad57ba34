import type { AdapterPayload } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import {
  type ArtifactRecord,
  type ArtifactRecords,
  type FoundRecord,
  GRANT,
  goneMeanwhile,
  REPLAY,
  SESSION,
  seenMeanwhile,
  UsedMeanwhile,
} from './artifact-record.ts'
import type { ArtifactAdapter, Undo } from './artifact-store.ts'

/**
 * Records of one model in a store. Ids are stored ones (`ArtifactRecords.nameOf`), look-up fields
 * are hashes; what is sealed in a record is not the store's to know.
 */
export interface StoredArtifacts {
  /**
   * Inserts or replaces a record; a consumed one stays consumed.
   * @param now instant of its making
   */
  save(record: ArtifactRecord, now: number): Promise<unknown>
  /**
   * Inserts a record, or replaces one that expired before `now`. @returns false if another is there
   */
  saveOnce(record: ArtifactRecord, now: number): Promise<boolean>
  find(id: string): Found
  findByUid(hash: string): Found
  findByUserCode(hash: string): Found
  /**
   * Consumes a record; if another call did before, its grant and all records of that are deleted.
   * @param noteUndo called before the write with its undo
   * @returns true if this call consumed it, false if another did, undefined if there is no record
   */
  consumeOrRevoke(id: string, noteUndo?: (undo: Undo) => void): Promise<boolean | undefined>
  /** Consumes a record with a new mark, whatever consumed it before. */
  consumeAgain(id: string, at: number): Promise<unknown>
  destroy(id: string): Promise<unknown>
  /** Deletes all records of a grant. */
  revoke(grantId: string): Promise<unknown>
}

/** A store on this machine answers at once. */
type Found = FoundRecord | undefined | Promise<FoundRecord | undefined>

export interface AdapterOptions {
  readonly authentic: { open(): Promise<{ readonly artifacts: ArtifactRecords }> }
  readonly clock: Pick<Clock, 'now'>
}

/** The adapter of one model for oidc-provider, which is the same for every store. */
export function createArtifactAdapter(
  model: string,
  stored: StoredArtifacts,
  { authentic, clock }: AdapterOptions,
): ArtifactAdapter {
  /** An ended session is absent for everyone. */
  const present = (payload: AdapterPayload | undefined) =>
    model === SESSION && payload?.consumed ? undefined : payload
  return {
    upsert: async (id, payload, expiresIn) => {
      const { artifacts } = await authentic.open()
      const now = clock.now()
      const record = artifacts.toRecord(model, id, payload, { expiresIn, now })
      if (model !== REPLAY) {
        await stored.save(record, now)
        return
      }
      // oidc-provider looks first and saves then, so of two uses at the same instant only one may
      // be saved.
      if (!(await stored.saveOnce(record, now))) throw seenMeanwhile()
    },
    find: async (id) => {
      const { artifacts } = await authentic.open()
      const found = stored.find(artifacts.nameOf(model, id))
      // Each request looks up a token, and an await costs it even if nothing has to be waited for.
      const record = found instanceof Promise ? await found : found
      return present(artifacts.toPayload(record, clock.now(), { id }))
    },
    findByUid: async (uid) => {
      const { artifacts } = await authentic.open()
      const found = await stored.findByUid(artifacts.uidOf(uid))
      return present(artifacts.toPayload(found, clock.now(), { uid }))
    },
    findByUserCode: async (userCode) => {
      const { artifacts } = await authentic.open()
      const found = await stored.findByUserCode(artifacts.userCodeOf(userCode))
      return artifacts.toPayload(found, clock.now(), { userCode })
    },
    consume: async (id, noteUndo) => {
      const { artifacts } = await authentic.open()
      const isFirst = await stored.consumeOrRevoke(artifacts.nameOf(model, id), noteUndo)
      if (isFirst === undefined) throw goneMeanwhile()
      if (!isFirst) throw new UsedMeanwhile()
    },
    consumeAgain: async (id, at) => {
      const { artifacts } = await authentic.open()
      await stored.consumeAgain(artifacts.nameOf(model, id), at)
    },
    destroy: async (id) => {
      const { artifacts } = await authentic.open()
      const name = artifacts.nameOf(model, id)
      await (model === SESSION ? stored.consumeAgain(name, clock.now()) : stored.destroy(name))
    },
    revokeByGrantId: async (grantId) => {
      const { artifacts } = await authentic.open()
      await stored.revoke(artifacts.nameOf(GRANT, grantId))
    },
  }
}
