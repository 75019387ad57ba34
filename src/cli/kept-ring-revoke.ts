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

/** `keys revoke` for a kept ring of ASP.NET Core: the price first, then the order, then what it has come to. */

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
    session.warn('No key is revoked that was not revoked before.')
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

/** @param isActive is a key revoked that processes protect with? */
function priceText(isActive: boolean, now: number): string {
  const until = instant(now + REFRESH, now)
  const goesOn = isActive
    ? `goes on protecting with what is revoked, opens what it protected, its thief's too, and cannot open what ` +
      'the successor protects'
    : `goes on opening what the revoked key protected, its thief's too`
  return (
    'Processes of ASP.NET Core have the ring in memory and read it again after 19 to 24 hours. One that is not ' +
    `restarted ${goesOn}: until ${until} at most. One that is restarted refuses all that the revoked key ` +
    'protected, and opens what its successor protects. Until all are of one kind, people are signed out where a ' +
    'request comes to the other.\n\n' +
    'To end it sooner, once this command has answered:\n' +
    '  1. Restart first what only opens payloads: APIs that check a cookie or a bearer token.\n' +
    '  2. Right after, restart what protects: sign-in pages, applications with sessions; all within minutes.\n' +
    '  3. Services in Node call reload() of their ring; no restart is needed.\n\n' +
    'What the revoked key protected is lost: people sign in again.\n'
  )
}
