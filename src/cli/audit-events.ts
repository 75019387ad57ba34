import type { Command } from 'commander'
import { type Gap, listRecords } from '../audit/operate.ts'
import type { AuditRecord, Subject } from '../audit/record.ts'
import { toRfc3339 } from '../clock.ts'
import { JSON_OPTION, type JsonOption, printJson } from './context.ts'
import type { Session } from './session.ts'
import { table } from './table.ts'
import { countArgument, counted, instant } from './words.ts'

/** The commands `accounts events` and `clients events`. */

interface EventsOptions extends JsonOption {
  readonly last?: number
}

interface About {
  readonly kind: 'account' | 'client'
  /** Argument that names a subject, and its help. */
  readonly argument: readonly [name: string, help: string]
  /** True if the subject is the named one. */
  readonly isNamed: (subject: Subject, named: string) => boolean
}

export function addAuditEvents(
  group: Command,
  { kind, argument, isNamed }: About,
  session: (work: (session: Session) => Promise<void>) => Promise<void>,
): void {
  const [name, help] = argument
  group
    .command('events')
    .description(`list what was ordered about ${kind}s, by whom and why, oldest first`)
    .argument(`[${name}]`, help)
    .option('--last <n>', 'only the newest events', countArgument)
    .option(...JSON_OPTION)
    .addHelpText('after', HELP)
    .action((named: string | undefined, options: EventsOptions) =>
      session((open) =>
        listEvents(kind, (subject) => named === undefined || isNamed(subject, named), {
          ...options,
          session: open,
        }),
      ),
    )
}

const HELP = `
Names of changed properties or claims are recorded, never values. Events are authenticated and numbered: an event
that somebody else wrote or changed is shown as FORGED in every listing, and numbers that are missing are named.`

async function listEvents(
  kind: About['kind'],
  isWanted: (subject: Subject) => boolean,
  { session, last, json }: EventsOptions & { readonly session: Session },
): Promise<void> {
  const { records, missing } = await listRecords(kind, isWanted, session.stores.audit)
  const forged = records.filter(({ isForged }) => isForged).length
  if (forged > 0) {
    session.warn(
      `${counted(forged, 'event')} failed the check, because somebody else wrote or changed ` +
        `${forged === 1 ? 'it' : 'them'}. Believe nothing in what is marked as forged.`,
    )
  }
  if (missing.length > 0) {
    session.warn(`Somebody deleted events: ${missing.map(gapWords).join(', ')}.`)
  }
  const shown = records.slice(-(last ?? Infinity))
  if (json) return printJson(session, shown.map(recordRow))
  if (shown.length === 0) return session.print('No such event has been recorded yet.')
  const columns = ['NUMBER', 'AT', kind.toUpperCase(), 'EVENT', 'BY', 'REASON']
  session.print(
    table(
      columns,
      shown.map((record) => recordCells(record, session.now)),
      session,
    ),
  )
}

function gapWords({ first, last }: Gap): string {
  return first === last ? `number ${first}` : `numbers ${first} to ${last}`
}

function recordRow({ at, actor, reason, action, subject, changed, number, isForged }: AuditRecord) {
  return { at: toRfc3339(at), actor, reason, action, subject, changed, number, isForged }
}

function recordCells(record: AuditRecord, now: number): readonly (string | number)[] {
  const { number, at, actor, reason, subject } = record
  return [number, instant(at, now), subject.username ?? subject.id, words(record), actor, reason]
}

/** An event in words. @example words(record) // 'claims set: name, email' */
function words({ action, changed, isForged }: AuditRecord): string {
  const what = action.replace(/^(account|client)_/, '').replaceAll('_', ' ')
  const names = changed.length === 0 ? '' : `: ${changed.join(', ')}`
  return `${isForged ? 'FORGED ' : ''}${what}${names}`
}
