import type { AdapterOptions, StoredArtifacts } from './artifact-adapter.ts'
import { type ArtifactRecord, goneMeanwhile, UsedMeanwhile } from './artifact-record.ts'
import type { ArtifactStore, NewArtifact, Undo } from './artifact-store.ts'

/** An exchange as a store sees it: ids are stored ones, payloads are sealed. */
export interface StoredExchange {
  readonly used: Pick<ArtifactRecord, 'model' | 'id'>
  readonly issued: readonly ArtifactRecord[]
  readonly answer: ArtifactRecord | undefined
}

/**
 * - `done`: the code or token is consumed by this exchange, and everything is saved.
 * - `gone`: there is no such code or token. Nothing is found of what was issued.
 * - `used`: it was consumed before, so its grant and everything issued under that is deleted.
 * - `answered`: another answer is kept. Nothing is found of what was issued.
 */
export type Exchanged = 'done' | 'gone' | 'used' | 'answered'

export interface ExchangeOptions {
  /** Instant of the exchange. */
  readonly now: number
  readonly noteUndo: ((undo: Undo) => void) | undefined
}

export type ExchangeStored = (
  exchange: StoredExchange,
  options: ExchangeOptions,
) => Promise<Exchanged>

/** The `exchange` of an issuer's artifacts, which is the same for every store. */
export function createExchange(
  exchangeStored: ExchangeStored,
  { authentic, clock }: AdapterOptions,
): ArtifactStore['exchange'] {
  return async ({ used, issued, answer }, noteUndo) => {
    const { artifacts } = await authentic.open()
    const now = clock.now()
    const toRecord = ({ model, id, payload, expiresIn }: NewArtifact) =>
      artifacts.toRecord(model, id, payload, { expiresIn, now })
    const stored = {
      used: { model: used.model, id: artifacts.nameOf(used.model, used.id) },
      issued: issued.map(toRecord),
      answer: answer && toRecord(answer),
    }
    const exchanged = await exchangeStored(stored, { now, noteUndo })
    if (exchanged === 'gone') throw goneMeanwhile()
    if (exchanged === 'used') throw new UsedMeanwhile()
    return exchanged === 'done'
  }
}

/** Records of a store that exchanges in several steps. */
export interface SteppedArtifacts extends StoredArtifacts {
  /** Like `consumeOrRevoke`, but deletes nothing. */
  consume(id: string, noteUndo?: (undo: Undo) => void): Promise<boolean | undefined>
}

/**
 * Exchanges in several steps, for stores that cannot do it in one. If a step fails, the consumption
 * can be undone (`noteUndo`); tokens that were saved before stay, and no client has them.
 * @param storedOf the records of a model
 * @throws StoreUnavailable
 */
export function exchangeInSteps(storedOf: (model: string) => SteppedArtifacts): ExchangeStored {
  return async ({ used, issued, answer }, { now, noteUndo }) => {
    const save = () => Promise.all(issued.map((record) => storedOf(record.model).save(record, now)))
    const uses = storedOf(used.model)
    if (!answer) {
      const isFirst = await uses.consumeOrRevoke(used.id, noteUndo)
      if (isFirst === undefined) return 'gone'
      if (!isFirst) return 'used'
      await save()
      return 'done'
    }
    // Tokens are saved before the answer, so that they are valid for a request that finds it.
    await save()
    const [isFirst, isKept] = await Promise.all([
      uses.consume(used.id, noteUndo),
      storedOf(answer.model).saveOnce(answer, now),
    ])
    if (isFirst !== undefined && isKept) {
      // The request that consumed it has no answer, and may be about to undo the consumption.
      if (!isFirst) await uses.consumeAgain(used.id, now)
      return 'done'
    }
    await Promise.all(issued.map(({ model, id }) => storedOf(model).destroy(id)))
    return isFirst === undefined ? 'gone' : 'answered'
  }
}
