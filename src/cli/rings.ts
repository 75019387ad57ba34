import { StoreIncomplete } from '../errors.ts'
import type { Pricing } from '../relying-parties/order-price.ts'
import type { LoadedRings } from '../ring/loaded-rings.ts'
import type { RingWork } from '../ring/operate.ts'
import {
  type RestoreWork,
  showRings as readRingsToShow,
  type ShownRings,
} from '../witness/operate.ts'
import { lackWords } from '../witness/witness.ts'
import { withAdvice } from './advice.ts'
import type { Context } from './context.ts'
import type { Session } from './session.ts'

/** Parts of a session that orders of rings need. */
export function ringWork({
  stores,
  policies,
  now,
  witness,
}: Omit<Session, keyof Context>): RingWork {
  return { store: stores.keys, openSealer: stores.openSealer, policies, now, witness }
}

/** Parts of a session from which prices of orders are computed. */
export function pricing({ policies, config, now }: Session): Pricing {
  return { policies, caching: config.rotation, now }
}

/** Opens rings and warns about faults that do not prevent opening. */
export async function tellingFaults(
  opening: Promise<LoadedRings>,
  { warn }: Pick<Context, 'warn'>,
): Promise<LoadedRings> {
  const loaded = await opening
  tellFaults(loaded, { warn })
  return loaded
}

function tellFaults(
  { forged, missing }: Pick<LoadedRings, 'forged' | 'missing'>,
  { warn }: Pick<Context, 'warn'>,
): void {
  if (forged.length > 0) {
    warn(`${forged.length} events fail their check and are ignored: ${forged.join(', ')}`)
  }
  if (missing.length > 0) warn(withAdvice(new StoreIncomplete(missing)))
}

/** Reads rings for a listing and warns about their faults. */
export async function showRings(session: Session): Promise<ShownRings> {
  const { warn } = session
  const shown = await readRingsToShow(restoreWork(session))
  const { isUnchecked, lack, forged, missing } = shown
  if (isUnchecked)
    warn('The keys cannot be opened. This is the unchecked content of their records:')
  if (lack) {
    warn(
      `The key store is older than the witness, so that no server starts with it: it lacks ${lackWords(lack)}. ` +
        'See: keyturn restore check',
    )
  }
  tellFaults({ forged, missing }, session)
  return shown
}

/** Parts of a session that orders about a restored key store need. */
export function restoreWork(session: Session): RestoreWork {
  const { stores, config } = session
  return { ...ringWork(session), issuer: config.issuer, remembered: stores.witness }
}
