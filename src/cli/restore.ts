import type { Command } from 'commander'
import { toRfc3339 } from '../clock.ts'
import { witnessPlace } from '../config/witness.ts'
import { NotFound, Refused, StoreIncomplete, StoreOutdated, WitnessOfAnother } from '../errors.ts'
import { readUnchecked } from '../ring/event-record.ts'
import type { KeyEvent } from '../ring/key.ts'
import { type LoadedRings, NO_RINGS } from '../ring/loaded-rings.ts'
import { newlyRevoked, type Order, orderAcceptance } from '../ring/orders.ts'
import { createRings } from '../ring/rings.ts'
import type { Sealer } from '../ring/sealer.ts'
import {
  givenUp,
  isStranger,
  type Lack,
  lackLines,
  lackOf,
  lackWords,
  type WitnessRecord,
  withAccepted,
} from '../witness/witness.ts'
import { authenticWitness } from '../witness/witness-mac.ts'
import {
  assertOfSomebody,
  genuineLack,
  lackOfEverything,
  witnessedFacts,
} from '../witness/witness-watch.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { eventWords } from './key-words.ts'
import { type OrderOptions, proseArgument, systemUser } from './order-options.ts'
import { type Session, withSession } from './session.ts'
import { counted } from './words.ts'

/** What an operator does with a key store that is older than it was. */

interface RestoreOptions extends OrderOptions {
  readonly dryRun?: boolean
}

const DRY_RUN = ['--dry-run', 'say what would be done, and do nothing'] as const

export function addRestore(program: Command, context: Context): void {
  const restore = program
    .command('restore')
    .description('go on after the database was restored from a backup')
    .addHelpText(
      'after',
      '\nWhat the key store lacks is told by the witness that this machine has (rotation.witness), and by keys and\n' +
        'events that name others. Stop every node first, or let those that run put back what they know.',
    )
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)

  restore
    .command('check')
    .description('what the key store lacks; exit status 1 if anything, or if nobody can tell')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => check(open, options)))
  restore
    .command('apply')
    .description('put back what the key store lacks: revoked keys are revoked again')
    .option('--reason <text>', 'recorded with what is lost', proseArgument, 'not given')
    .option('--actor <name>', 'who asks; recorded with what is lost', proseArgument, systemUser())
    .option(...DRY_RUN)
    .option(...JSON_OPTION)
    .action((options: RestoreOptions) => session((open) => apply(open, options)))
  restore
    .command('accept')
    .description('go on with the older key store: keys that were revoked since are trusted again')
    .requiredOption('--reason <text>', 'why; recorded', proseArgument)
    .option('--actor <name>', 'who answers for it; recorded', proseArgument, systemUser())
    .option(...DRY_RUN)
    .option(...JSON_OPTION)
    .action((options: RestoreOptions) => session((open) => accept(open, options)))
}

interface Situation {
  readonly facts: LoadedRings
  /** Undefined where the key store is empty. */
  readonly sealer: Sealer | undefined
  readonly record: WitnessRecord | undefined
  /** Where the witness is. */
  readonly where: string
  /** What the witness remembers and the store lacks. */
  readonly lack: Lack
  /** Ids of events that others name and that the witness does not have either. */
  readonly gone: readonly string[]
}

/** @throws NotFound where nobody can tell, WitnessOfAnother, WitnessUnreadable, and what opens keys */
async function look({ config, policies, stores }: Session): Promise<Situation> {
  const { witness, keys } = stores
  const stored = await keys.load()
  const isEmpty = stored.keys.length + stored.events.length === 0
  const sealer = isEmpty ? undefined : await stores.openSealer()
  // The witness first: all that it remembers stood in the store before.
  const record = witness && (await authenticWitness(witness, sealer?.deployment).read())
  const facts = sealer ? await createRings({ store: keys, sealer }).loadRecorded() : NO_RINGS
  const where = witness?.where ?? 'none'
  if (!record && facts.missing.length === 0) {
    throw new NotFound('witness_not_found', {}, nobodyCanTell(config, where))
  }

  const seen = sealer && witnessedFacts(facts, sealer, { issuer: config.issuer, policies })
  if (record && seen) {
    assertOfSomebody(record, where)
    if (isStranger(record, seen)) throw new WitnessOfAnother(where, record.issuer)
  }
  const found = record && (seen ? lackOf(record, seen) : lackOfEverything(record))
  const lack = (sealer ? await genuineLack(found, sealer) : found) ?? NO_LACK
  const back = new Set(lack.events.map(({ id }) => id))
  const gone = facts.missing.filter((id) => !back.has(id))
  return { facts, sealer, record, where, lack, gone }
}

const NO_LACK: Lack = { events: [], generations: [] }

function nobodyCanTell(config: Session['config'], where: string): string {
  const place = witnessPlace(config)
  const why = place.type === 'none' ? `because ${place.why}` : `yet: ${where} (rotation.witness)`
  return `There is no witness, ${why}. Nobody can tell whether the key store is older than it was.`
}

function isWhole({ lack, gone }: Situation): boolean {
  return lack.events.length + lack.generations.length + gone.length === 0
}

async function check(session: Session, { json }: JsonOption): Promise<void> {
  const found = await look(session)
  const { facts, record, lack, gone, where } = found
  const accepted = [
    ...(record?.accepted ?? []),
    ...facts.events.filter((event) => event.type === 'accept'),
  ].map(({ at, actor, reason }) => ({ at: toRfc3339(at), actor, reason }))
  if (json)
    printJson(session, { ok: isWhole(found), witness: where, ...row(found, session), accepted })
  else {
    for (const { at, actor, reason } of accepted) {
      session.print(`Accepted at ${at} by ${actor}: ${reason}`)
    }
    session.print(
      isWhole(found)
        ? `The key store has all that is remembered by ${where}.`
        : missingText(found, session),
    )
  }
  if (lack.events.length + lack.generations.length > 0) {
    throw new StoreOutdated(lackWords(lack), where)
  }
  if (gone.length > 0) throw new StoreIncomplete(gone)
}

async function apply(
  session: Session,
  { json, dryRun = false, actor, reason }: RestoreOptions,
): Promise<void> {
  const found = await look(session)
  const { sealer, lack, gone } = found
  if (!isWhole(found) && !sealer) {
    throw new Refused(
      'restore_needs_backup',
      {},
      'The key store is empty: events alone do not bring back its keys. Restore a backup, or begin anew.',
    )
  }
  if (sealer && !dryRun) {
    await session.stores.keys.addEvents(lack.events)
    // Keys cannot be put back: nobody keeps them. Their generations are not used again.
    if (lack.generations.length > 0) {
      await giveUp(givenUp({ ...lack, events: [] }), { sealer, actor, reason }, session)
    }
  }
  const lines = () => [
    ...countedLine('Applied', lack.events.length),
    ...affected(found, session).map((kid) => `Revoked  ${kid}`),
    ...lostLines(lack),
    ...(gone.length > 0 ? [`Missing  ${gone.join(', ')}`, GONE] : [NEXT]),
  ]
  tell(found, session, { json, dryRun, lines })
}

async function accept(
  session: Session,
  { json, dryRun = false, actor, reason }: RestoreOptions,
): Promise<void> {
  const { now, stores } = session
  const found = await look(session)
  const { sealer, lack, gone } = found
  if (!isWhole(found) && !dryRun) {
    if (sealer) await giveUp([...givenUp(lack), ...gone], { sealer, actor, reason }, session)
    else {
      await stores.witness?.update((record) =>
        withAccepted(record, lack, { at: now, actor, reason }),
      )
    }
  }
  const lines = () => [
    ...countedLine('Given up', lack.events.length + gone.length),
    ...affected(found, session).map((kid) => `Trusted  ${kid}`),
    ...lostLines(lack),
    `Recorded ${actor}: ${reason}`,
    NEXT,
  ]
  tell(found, session, { json, dryRun, lines })
}

const DRY = 'Nothing was done (--dry-run). Without --dry-run the answer is:'
const NEXT = 'The next start of a server goes on from here.'
const GONE = 'Nobody has these any more. To go on without: keyturn restore accept --reason TEXT'

/** Records in the store what nobody is to ask for any more. */
async function giveUp(
  missing: readonly string[],
  { sealer, ...order }: Order & { readonly sealer: Sealer },
  { stores, policies, now }: Session,
): Promise<void> {
  const rings = createRings({ store: stores.keys, sealer })
  const ring = policies.rings[0]?.ring ?? 'cookie'
  const action = orderAcceptance(ring, missing, { now, ...order })
  await rings.apply(action, await rings.loadRecorded())
}

interface TellOptions {
  readonly json: true | undefined
  readonly dryRun: boolean
  /** What was done. */
  readonly lines: () => readonly string[]
}

/** What was, or would be, done. */
function tell(found: Situation, session: Session, { json, dryRun, lines }: TellOptions): void {
  if (json) {
    printJson(session, { done: !dryRun && !isWhole(found), ...row(found, session) })
  } else if (isWhole(found)) {
    session.print('The key store has all that is remembered; there is nothing to do.')
  } else {
    session.print(missingText(found, session))
    session.print(['', ...(dryRun ? [DRY] : []), ...lines()].join('\n'))
  }
}

/** The events themselves are listed above it, in words. */
function countedLine(what: string, events: number): readonly string[] {
  return events === 0 ? [] : [`${what.padEnd(8)} ${counted(events, 'event')}`]
}

function lostLines({ generations }: Lack): readonly string[] {
  return generations.map(
    ({ ring, seen }) =>
      `Lost     ring ${ring} up to generation ${seen}; none of these is used again`,
  )
}

/** The keys of the store that only what is missing revokes. */
function affected({ facts, lack }: Situation, { policies, now }: Session): readonly string[] {
  const after = { ...facts, events: [...facts.events, ...missingEvents(lack)] }
  return newlyRevoked({ before: facts, after }, policies, now)
}

/** What is missing was checked, or the store is empty and nobody can check it. */
function missingEvents({ events }: Lack): readonly KeyEvent[] {
  return readUnchecked(events)
}

function missingText(found: Situation, session: Session): string {
  const { lack, gone } = found
  const kids = affected(found, session)
  return [
    'The key store lacks:',
    ...missingEvents(lack).map(
      (event) =>
        `  ${toRfc3339(event.at)} ring ${event.ring}${'kid' in event ? `, key ${event.kid}` : ''}: ` +
        `${eventWords(event)} (${event.actor}: ${event.reason})`,
    ),
    ...lackLines({ ...lack, events: [] }).map((line) => `  ${line}`),
    ...gone.map((id) => `  ${id}, which others name`),
    ...(kids.length > 0 ? ['It trusts without these:', ...kids.map((kid) => `  ${kid}`)] : []),
  ].join('\n')
}

function row(found: Situation, session: Session) {
  const { lack, gone } = found
  return {
    events: missingEvents(lack),
    generations: lack.generations,
    missing: gone,
    keys: affected(found, session),
  }
}
