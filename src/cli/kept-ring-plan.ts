import { printJson } from './context.ts'
import {
  type FoundKeptKey,
  keptChangeRow,
  keptEventRow,
  keptKeyRow,
  keptKeyText,
  keptRingPlan,
  keptRingWarnings,
  revocationsOf,
  showKeptRings,
} from './kept-rings.ts'
import type { Session } from './session.ts'

/** Output of `keys show` and `keys plan` for kept rings of ASP.NET Core. */

/** Most instants of each ring in a plan without options. */
export const DEFAULT_STEPS = 3

export function showKeptKey(
  { shown, key }: FoundKeptKey,
  session: Session,
  { json }: { readonly json: true | undefined },
): void {
  const { now } = session
  if (!json) {
    session.print(keptKeyText(shown, key, now))
    return
  }
  const { changes } = shown.forecast({ until: Infinity, steps: DEFAULT_STEPS })
  const next = changes.filter(({ id }) => id === key.id)
  printJson(session, {
    ...keptKeyRow(shown, key),
    events: revocationsOf({ shown, key }).map(keptEventRow),
    next: next.map((change) => keptChangeRow(shown.ring, change)),
  })
}

/** The plans of kept rings, which a server carries out about once an hour. */
export async function planOfKept(
  session: Session,
  ahead: { readonly until: number; readonly steps: number },
) {
  const { now } = session
  const { rings, failures } = await showKeptRings(session)
  const plans = rings.map((shown) => ({ shown, changes: shown.forecast(ahead).changes }))
  const rows = plans.flatMap(({ shown: { ring }, changes }) =>
    changes.map((change) => ({ isDue: change.at === now, row: keptChangeRow(ring, change) })),
  )
  return {
    due: rows.flatMap(({ isDue, row }) => (isDue ? [row] : [])),
    forecast: rows.flatMap(({ isDue, row }) => (isDue ? [] : [row])),
    warnings: rings.flatMap((shown) => keptRingWarnings(shown, now)),
    texts: plans.map(({ shown: { ring }, changes }) => keptRingPlan(ring, changes, now)),
    /** Throws the first failure to read a ring; called once all other rings are shown. */
    fail: () => {
      if (failures[0]) throw failures[0].error
    },
  }
}
