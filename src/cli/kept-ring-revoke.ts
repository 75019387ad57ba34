import { toRfc3339 } from '../clock.ts'
import { REFRESH } from '../data-protection/keeper.ts'
import {
  type KeptRevocationTarget,
  readKeptRing,
  revokeInKeptRing,
  type ShownKeptRing,
} from '../data-protection/operate.ts'
import { printJson } from './context.ts'
import { keptKeyRow } from './kept-rings.ts'
import type { OrderOptions } from './order-options.ts'
import type { Session } from './session.ts'
import { instant } from './words.ts'

/** The command `keys revoke` for a kept ring: shows the price, revokes, then shows the result. */

export async function revokeKept(
  { ring, settings, keys }: ShownKeptRing,
  target: KeptRevocationTarget,
  { actor, reason, json, session }: OrderOptions & { readonly session: Session },
): Promise<void> {
  const { now } = session
  const meant = keys.filter((key) =>
    'id' in target ? key.id === target.id : key.createdAt < target.createdBefore,
  )
  if (meant.every(({ phase }) => phase === 'revoked')) {
    session.warn('No key is newly revoked.')
  } else
    session.warn(
      priceText(
        meant.some(({ phase }) => phase === 'active'),
        now,
      ),
    )

  const done = await revokeInKeptRing(settings, target, { reason, actor, now })
  const after = await readKeptRing(settings, now)
  const active = after.keys.find(({ phase }) => phase === 'active')
  const { revoked, successors, isNew, knownEverywhereAt } = done
  if (json) {
    return printJson(session, {
      ring,
      revoked: isNew ? revoked : [],
      active: active?.id ?? null,
      successors,
      knownEverywhereAt: toRfc3339(knownEverywhereAt),
      keys: after.keys.map((key) => keptKeyRow(after, key)),
    })
  }
  for (const id of isNew ? revoked : []) session.print(`Revoked  ${id}`)
  for (const id of successors) session.print(`Made     ${id}`)
  session.print(active ? `Protects ${active.id}` : 'Protects no key')
  session.print(`Known    to every process by ${instant(knownEverywhereAt, now)}`)
}

/**
 * The price of a revocation, in words.
 * @param isActive true if processes protect with a revoked key
 */
function priceText(isActive: boolean, now: number): string {
  const until = instant(now + REFRESH, now)
  const goesOn = isActive
    ? 'still protects with the revoked key, still opens payloads of the revoked key, also those of a thief, and ' +
      'cannot open payloads of the successor'
    : 'still opens payloads of the revoked key, also those of a thief'
  return (
    'Processes of ASP.NET Core cache the ring and read it again after 19 to 24 hours. A process that is not ' +
    `restarted ${goesOn}, until ${until} at the latest. A restarted process refuses payloads of the ` +
    'revoked key and opens those of its successor. Until all processes are restarted, people are signed out ' +
    'when a request reaches a process of the other kind.\n\n' +
    'To end this sooner, once this command has answered:\n' +
    '  1. Restart first the processes that only open payloads: APIs that check a cookie or a bearer token.\n' +
    '  2. Right after, restart the processes that protect: sign-in pages, applications with sessions; all within minutes.\n' +
    '  3. In services in Node call reload() of their ring; they need no restart.\n\n' +
    'Payloads of the revoked key are lost: people sign in again.\n'
  )
}
