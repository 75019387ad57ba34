import type { Action } from './action.ts'
import type { KeyEvent, KeyFacts } from './key.ts'
import { isRevocationOf } from './lifecycle.ts'

/**
 * The rule of who may erase a private half or delete a record, for servers and commands. Pure.
 *
 * The private half of a revoked key may be erased by anybody at once, because an event revoked the
 * key, whatever any clock says. All other destruction follows from the time, and a clock that is
 * wrong by months would make live keys look expired. Therefore only a process that has watched its
 * clock for a while may do it: a server from `maxRingAge` after its start and after each jump of
 * its clock, never a command, which has only just started. An action that is not allowed now is
 * planned again later.
 */
export function mayDo(
  action: Action,
  { keys, events }: { readonly keys: readonly KeyFacts[]; readonly events: readonly KeyEvent[] },
  { isClockSettled }: { readonly isClockSettled: boolean },
): boolean {
  if (action.type !== 'erase' && action.type !== 'delete') return true
  if (isClockSettled) return true
  if (action.type === 'delete') return false
  const key = keys.find(({ kid }) => kid === action.kid)
  return key !== undefined && events.some((event) => isRevocationOf(event, key))
}
