import type { Action } from './action.ts'
import type { KeyEvent, KeyFacts } from './key.ts'
import { isRevocationOf } from './lifecycle.ts'

/**
 * Who may erase a private half or delete a record: the one rule, for servers and commands. Pure.
 *
 * What was revoked is revoked by an event, whatever any clock says, so anybody may erase its private
 * half at once. Everything else that destroys follows from the time: under a clock that is wrong by
 * months, keys that live would look as if their time were over. So it is left to a process that has
 * watched its clock for a while: to a server from `maxRingAge` after its start, and after each jump of
 * its clock; never to a command, which has just begun. What nobody may do now is planned again later.
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
