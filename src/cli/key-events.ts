import type { Command } from 'commander'
import type { KeptRevocation } from '../data-protection/operate.ts'
import type { KeyEvent } from '../ring/key.ts'
import { isRevocationOf } from '../ring/lifecycle.ts'
import { assertRing, findKid } from '../ring/orders.ts'
import { nameProblem } from '../values/text.ts'
import type { ShownRings } from '../witness/operate.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import {
  findKeptKey,
  isKeptRing,
  keptEventCells,
  keptEventRow,
  revocationsOf,
  showKeptRings,
} from './kept-rings.ts'
import { eventRow, eventWords } from './key-words.ts'
import { KID_HELP, kidArgument } from './kid-argument.ts'
import { showRings } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { table } from './table.ts'
import { countArgument, fromNow, textArgument } from './words.ts'

/** The command `keys events`. */

export function addKeyEvents(keys: Command, program: Command, context: Context): void {
  keys
    .command('events')
    .description('list promotions, revocations and extensions, oldest first')
    .argument('[kid]', `only events of one key: ${KID_HELP}`, kidArgument)
    .option('--ring <ring>', 'only events of one ring', textArgument(nameProblem))
    .option('--last <n>', 'only the newest events', countArgument)
    .option(...JSON_OPTION)
    .action((kid: string | undefined, options: EventOptions) =>
      withSession(program, context, (open) => listEvents(kid, open, options)),
    )
}

interface EventOptions extends JsonOption {
  readonly ring?: string
  readonly last?: number
}

async function listEvents(
  named: string | undefined,
  session: Session,
  { json, ring, last }: EventOptions,
): Promise<void> {
  const rings = await showRings(session)
  if (ring !== undefined && isKeptRing(ring)) {
    const { findKeptRing } = await import('../data-protection/operate.ts')
    findKeptRing(ring, session.config.dataProtection.rings)
  } else if (ring !== undefined) assertRing(ring, rings, session.policies)
  const { issuer } = session.config
  const { own, kept } = await eventsNamed(named, rings, session)
  // A revocation comes before its effects at the same instant.
  const isCause = ({ type }: { readonly type: string }) => type.startsWith('revoke')
  const ordered = [
    ...own.map((event) => ({ at: event.at, row: { ...eventRow(event), issuer }, event })),
    ...kept.map((event) => ({ at: event.at ?? 0, row: keptEventRow(event), event: undefined })),
  ]
    .filter(({ row }) => ring === undefined || row.ring === ring)
    .toSorted((a, b) => a.at - b.at || Number(isCause(b.row)) - Number(isCause(a.row)))
    .slice(-(last ?? Infinity))
  if (json)
    return printJson(
      session,
      ordered.map(({ row }) => row),
    )
  if (ordered.length === 0) {
    const what = named === undefined && ring === undefined ? 'No event' : 'No such event'
    return session.print(`${what} has been recorded yet.`)
  }
  const cells = ordered.map(({ event, row }) =>
    event ? eventCells(event, session.now) : keptEventCells(row, session.now),
  )
  session.print(table(EVENT_COLUMNS, cells, session))
}

/** All events, or those of one key if a key is named. */
async function eventsNamed(
  named: string | undefined,
  rings: ShownRings,
  session: Session,
): Promise<{ readonly own: readonly KeyEvent[]; readonly kept: readonly KeptRevocation[] }> {
  if (named === undefined) {
    const { rings: all } = await showKeptRings(session)
    return { own: rings.events, kept: all.flatMap(({ revocations }) => revocations) }
  }
  const key = await findKeptKey(named, kidsOf(rings), session)
  return key ? { own: [], kept: revocationsOf(key) } : { own: eventsOf(named, rings), kept: [] }
}

/** The events of a key; a deleted key is found by its events, which outlive it. */
function eventsOf(named: string, rings: ShownRings): readonly KeyEvent[] {
  const { keys, events } = rings
  const kid = findKid(named, kidsOf(rings))
  const key = keys.find((each) => each.kid === kid)
  return events.filter(
    (event) => ('kid' in event && event.kid === kid) || (key && isRevocationOf(event, key)),
  )
}

function kidsOf({ keys, events }: ShownRings): readonly string[] {
  return [
    ...keys.map((key) => key.kid),
    ...events.flatMap((event) => ('kid' in event ? [event.kid] : [])),
  ]
}

export function eventTable(
  events: readonly KeyEvent[],
  terminal: Pick<Context, 'colors' | 'columns'>,
  now?: number,
): string {
  return table(
    EVENT_COLUMNS,
    events.map((event) => eventCells(event, now)),
    terminal,
  )
}

const EVENT_COLUMNS = ['AT', 'RING', 'KID', 'EVENT', 'BY', 'REASON'] as const

function eventCells(event: KeyEvent, now?: number): readonly string[] {
  const { at, ring, kid, actor, reason } = eventRow(event)
  const when = now === undefined ? at : `${at} (${fromNow(event.at, now)})`
  // An accept event concerns all rings; its words name the rings that lost keys.
  const where = event.type === 'accept' ? '-' : ring
  return [when, where, kid ?? '-', eventWords(event), actor, reason]
}
