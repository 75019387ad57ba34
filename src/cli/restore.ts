import type { Command } from 'commander'
import { toRfc3339 } from '../clock.ts'
import { witnessPlace } from '../config/witness.ts'
import { StoreIncomplete } from '../errors.ts'
import { StoreOutdated } from '../ring/witness-errors.ts'
import {
  acceptLack,
  type Findings,
  findLack,
  isWhole,
  missingEvents,
  putBackLack,
  trustedWithout,
} from '../witness/operate.ts'
import {
  type Acceptance,
  givenWords,
  hasOnlyGenerations,
  type Lack,
  lackLines,
  lackWords,
} from '../witness/witness.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { eventWords } from './key-words.ts'
import { type OrderOptions, proseArgument, systemUser } from './order-options.ts'
import { restoreWork } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { counted } from './words.ts'

/** The commands `restore check`, `apply` and `accept`, for a key store that was set back. */

interface RestoreOptions extends OrderOptions {
  readonly dryRun?: boolean
}

const DRY_RUN = ['--dry-run', 'show what would be done, and do nothing'] as const

export function addRestore(restore: Command, program: Command, context: Context): void {
  restore.addHelpText(
    'after',
    '\nThe witness of this machine (rotation.witness), and keys and events that name others, show what the key\n' +
      'store lacks. Stop every node first, or let running nodes put back what they know.',
  )
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)

  restore
    .command('check')
    .description(
      'show what the key store lacks; exit status 1 if something, or if it cannot be told',
    )
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => check(open, options)))
  restore
    .command('apply')
    .description('put back what the key store lacks, so that revoked keys are revoked again')
    .option('--reason <text>', 'recorded with the losses', proseArgument, 'not given')
    .option(
      '--actor <name>',
      'who gives the order; recorded with the losses',
      proseArgument,
      systemUser(),
    )
    .option(...DRY_RUN)
    .option(...JSON_OPTION)
    .action((options: RestoreOptions) => session((open) => apply(open, options)))
  restore
    .command('accept')
    .description('accept the older key store; keys that were revoked since are trusted again')
    .requiredOption('--reason <text>', 'reason; recorded', proseArgument)
    .option('--actor <name>', 'who is responsible; recorded', proseArgument, systemUser())
    .option(...DRY_RUN)
    .option(...JSON_OPTION)
    .action((options: RestoreOptions) => session((open) => accept(open, options)))
}

/** Finds what the key store lacks. @throws as `findLack` */
function look(session: Session): Promise<Findings> {
  const place = witnessPlace(session.config)
  const where = session.stores.witness?.where ?? 'none'
  const why = place.type === 'none' ? `because ${place.why}` : `yet: ${where} (rotation.witness)`
  return findLack(restoreWork(session), why)
}

async function check(session: Session, { json }: JsonOption): Promise<void> {
  const found = await look(session)
  const { facts, record, lack, gone, where } = found
  const settled = facts.events.filter((event) => event.type === 'accept')
  // Also written by `restore apply`, by which nobody accepts the older key store.
  const ofKeys = settled.filter(({ missing }) => hasOnlyGenerations(missing))
  const accepted = [
    ...(record?.accepted ?? []),
    ...settled.filter((event) => !ofKeys.includes(event)),
  ].map(orderRow)
  const lost = ofKeys.map((event) => ({ ...orderRow(event), keys: givenWords(event.missing) }))
  if (json)
    printJson(session, {
      ...{ ok: isWhole(found), witness: where },
      ...{ ...row(found, session), accepted, lost },
    })
  else {
    for (const { at, actor, reason } of accepted) {
      session.print(`Accepted at ${at} by ${actor}: ${reason}`)
    }
    for (const { at, actor, reason, keys } of lost) {
      session.print(`Recorded at ${at} by ${actor}: ${keys} (${reason})`)
    }
    session.print(
      isWhole(found)
        ? `The key store has everything that the witness remembers: ${where}.`
        : missingText(found, session),
    )
  }
  if (lack.events.length + lack.generations.length > 0) {
    throw new StoreOutdated(lackWords(lack), where)
  }
  if (gone.length > 0) throw new StoreIncomplete(gone)
}

function orderRow({ at, actor, reason }: Pick<Acceptance, 'at' | 'actor' | 'reason'>) {
  return { at: toRfc3339(at), actor, reason }
}

async function apply(
  session: Session,
  { json, dryRun = false, actor, reason }: RestoreOptions,
): Promise<void> {
  const found = await look(session)
  const { lack, gone } = found
  await putBackLack(found, { actor, reason, dryRun }, restoreWork(session))
  const lines = () => [
    ...countedLine('Applied', lack.events.length),
    ...trustedWithout(found, session).map((kid) => `Revoked  ${kid}`),
    ...lostLines(lack),
    ...(gone.length > 0 ? [`Missing  ${gone.join(', ')}`, GONE] : [NEXT]),
  ]
  tell(found, session, { json, dryRun, lines })
}

async function accept(
  session: Session,
  { json, dryRun = false, actor, reason }: RestoreOptions,
): Promise<void> {
  const found = await look(session)
  const { lack, gone } = found
  await acceptLack(found, { actor, reason, dryRun }, restoreWork(session))
  const lines = () => [
    ...countedLine('Given up', lack.events.length + gone.length),
    ...trustedWithout(found, session).map((kid) => `Trusted  ${kid}`),
    ...lostLines(lack),
    `Recorded ${actor}: ${reason}`,
    NEXT,
  ]
  tell(found, session, { json, dryRun, lines })
}

const DRY = 'Nothing was done (--dry-run). Without --dry-run the answer is:'
const NEXT = 'Servers can start with this key store.'
const GONE =
  'Neither the key store nor the witness has these. To continue without them: keyturn restore accept --reason TEXT'

interface TellOptions {
  readonly json: true | undefined
  readonly dryRun: boolean
  /** Lines about what is done. */
  readonly lines: () => readonly string[]
}

/** Prints what was done, or would be done. */
function tell(found: Findings, session: Session, { json, dryRun, lines }: TellOptions): void {
  if (json) {
    printJson(session, { done: !dryRun && !isWhole(found), ...row(found, session) })
  } else if (isWhole(found)) {
    session.print(
      'The key store has everything that the witness remembers; there is nothing to do.',
    )
  } else {
    session.print(missingText(found, session))
    session.print(['', ...(dryRun ? [DRY] : []), ...lines()].join('\n'))
  }
}

/** A line with the number of events, which are listed in words above it. */
function countedLine(what: string, events: number): readonly string[] {
  return events === 0 ? [] : [`${what.padEnd(8)} ${counted(events, 'event')}`]
}

function lostLines({ generations }: Lack): readonly string[] {
  return generations.map(
    ({ ring, seen }) =>
      `Lost     ring ${ring} up to generation ${seen}; these generations are not used again`,
  )
}

function missingText(found: Findings, session: Session): string {
  const { lack, gone } = found
  const kids = trustedWithout(found, session)
  return [
    'The key store lacks:',
    ...missingEvents(lack).map(
      (event) =>
        `  ${toRfc3339(event.at)} ring ${event.ring}${'kid' in event ? `, key ${event.kid}` : ''}: ` +
        `${eventWords(event)} (${event.actor}: ${event.reason})`,
    ),
    ...lackLines({ ...lack, events: [] }).map((line) => `  ${line}`),
    ...gone.map((id) => `  ${id}, which other records name`),
    ...(kids.length > 0 ? ['Without these it trusts:', ...kids.map((kid) => `  ${kid}`)] : []),
  ].join('\n')
}

function row(found: Findings, session: Session) {
  const { lack, gone } = found
  return {
    events: missingEvents(lack),
    generations: lack.generations,
    missing: gone,
    keys: trustedWithout(found, session),
  }
}
