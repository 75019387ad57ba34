import type { Command } from 'commander'
import { type Change, forecast, futureOf } from '../ring/forecast.ts'
import { allStates, isRevocationOf, type KeyState, ringNames } from '../ring/lifecycle.ts'
import { manualSteps } from '../ring/manual.ts'
import { openRings } from '../ring/operate.ts'
import { findState } from '../ring/orders.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { DEFAULT_STEPS, planOfKept, showKeptKey } from './kept-ring-plan.ts'
import {
  type FoundKeptKey,
  findKeptKey,
  keptKeyRow,
  keptNextWords,
  showKeptRings,
} from './kept-rings.ts'
import { addKeyEvents, eventTable } from './key-events.ts'
import { addKeyExport } from './key-export.ts'
import { addKeyImports } from './key-import.ts'
import { addKeyOrders } from './key-orders.ts'
import {
  changeRow,
  changeWords,
  eventRow,
  keyRow,
  keyWords,
  nextWords,
  stepRow,
  stepsText,
} from './key-words.ts'
import { KID_HELP, kidArgument } from './kid-argument.ts'
import { ringWork, showRings, tellingFaults } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { pairs, table } from './table.ts'
import { countArgument, durationArgument, instant, instantOrNull, span } from './words.ts'

export function addKeys(keys: Command, program: Command, context: Context): void {
  const session = <T>(work: (session: Session) => Promise<T>) => withSession(program, context, work)

  keys
    .command('list')
    .description('list every key with its phase and next change')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => listKeys(open, options)))
  keys
    .command('show')
    .description('show one key: its public half, its events and its future')
    .argument('<kid>', KID_HELP, kidArgument)
    .option(...JSON_OPTION)
    .action((kid: string, options: JsonOption) => session((open) => showKey(kid, open, options)))
  keys
    .command('plan')
    .description('show what will happen next in every ring, when and why')
    .option('--until <duration>', 'how far to look ahead, such as 200d', durationArgument)
    .option('--steps <n>', 'most instants of each ring; default 3 without --until', countArgument)
    .option(...JSON_OPTION)
    .action((options: PlanOptions) => session((open) => showPlan(open, options)))
  addKeyOrders(keys, program, context)
  addKeyImports(keys, program, context)
  addKeyExport(keys, program, context)
  addKeyEvents(keys, program, context)
}

async function listKeys(session: Session, { json }: JsonOption): Promise<void> {
  const { policies, now } = session
  const rings = await showRings(session)
  const states = allStates(rings, policies, now)
  const kept = await showKeptRings(session)
  const keptKeys = kept.rings.flatMap((shown) => shown.keys.map((key) => ({ shown, key })))
  const { issuer } = session.config
  if (json)
    printJson(session, [
      ...states.map((state) => ({ ...keyRow(state), issuer })),
      ...keptKeys.map(({ shown, key }) => keptKeyRow(shown, key)),
    ])
  else printKeys(states, keptKeys, session)
  if (rings.failure) throw rings.failure
  if (kept.failures[0]) throw kept.failures[0].error
}

function printKeys(
  states: readonly KeyState<RingKey>[],
  kept: readonly FoundKeptKey[],
  session: Session,
): void {
  const { policies, now } = session
  if (states.length + kept.length === 0) {
    session.print('There are no keys yet. The first start of the server makes them.')
    return
  }
  const rows = states.map((state) => {
    const { ring, generation, kid } = state.key
    return [ring, generation, state.phase, kid, nextWords(state, policies.policyFor(ring), now)]
  })
  const keptRows = kept.map(({ shown: { ring }, key }) => {
    return [ring, '-', key.phase, key.id, keptNextWords(key, now)]
  })
  session.print(table(['RING', 'GEN', 'PHASE', 'KID', 'NEXT'], [...rows, ...keptRows], session))
}

async function showKey(named: string, session: Session, { json }: JsonOption): Promise<void> {
  const { policies, now } = session
  const facts = await tellingFaults(openRings(ringWork(session)), session)
  const kept = await findKeptKey(
    named,
    facts.keys.map((each) => each.kid),
    session,
  )
  if (kept) return showKeptKey(kept, session, { json })
  const state = findState(facts, policies, named, now)
  const { key } = state
  const { kid } = key
  const events = facts.events.filter(
    (event) => ('kid' in event && event.kid === kid) || isRevocationOf(event, key),
  )
  const future = futureOf(kid, facts, policies, now)
  if (json) {
    return printJson(session, {
      ...keyRow(state),
      issuer: session.config.issuer,
      deleteAt: instantOrNull(state.deleteAt),
      revokedAt: instantOrNull(state.revokedAt),
      retention: state.recordedRetention,
      hasPrivateHalf: key.hasPrivateHalf,
      isOpen: key.isOpen,
      publicJwk: key.publicJwk ?? null,
      events: events.map(eventRow),
      next: future.map(changeRow),
    })
  }
  const at = (time: number | null) => (time === null ? null : instant(time, now))
  const half = key.publicJwk ? (key.hasPrivateHalf ? 'kept, sealed' : 'erased') : null
  const policy = policies.policyFor(key.ring)
  session.print(
    pairs([
      ['Key', kid],
      ['Ring', `${key.ring}, generation ${key.generation}, ${key.algorithm}`],
      ['Phase', `${state.phase}${key.isOpen ? '' : '; its record does not open'}`],
      ['Created', at(key.createdAt)],
      ['Active', at(state.activatesAt)],
      ['Retires', at(state.retiresAt)],
      [policy.published ? 'Leaves JWKS' : 'Verifies to', at(state.unpublishAt)],
      ['Revoked', at(state.revokedAt)],
      ['Deleted', at(state.deleteAt)],
      ['Kept for', `${span(state.recordedRetention)} after it retires`],
      ['Private half', half],
      ['Sealed under', key.protectedBy],
    ]),
  )
  if (key.publicJwk) session.print(`\nPublic JWK\n${JSON.stringify(key.publicJwk, null, 2)}`)
  if (events.length > 0) session.print(`\nEvents\n${eventTable(events, session)}`)
  const lines = future.map(
    (change) => `  ${instant(change.at, now)} ${changeWords(change, policy)}`,
  )
  session.print(`\nNext\n${lines.join('\n') || '  nothing'}`)
}

interface PlanOptions extends JsonOption {
  readonly until?: number
  readonly steps?: number
}

async function showPlan(session: Session, options: PlanOptions): Promise<void> {
  const { policies, now, config } = session
  const { until, steps = until === undefined ? DEFAULT_STEPS : Infinity } = options
  const facts = await tellingFaults(openRings(ringWork(session)), session)
  const { due, changes, warnings, cutAt } = forecast(facts, policies, {
    now,
    steps,
    until: until === undefined ? Infinity : now + until,
  })
  const kept = await planOfKept(session, {
    until: until === undefined ? Infinity : now + until,
    steps,
  })
  const byHand = manualSteps(facts, policies, now)
  if (options.json) {
    printJson(session, {
      issuer: config.issuer,
      at: instantOrNull(now),
      due: [...due.map(changeRow), ...kept.due],
      forecast: [...changes.map(changeRow), ...kept.forecast],
      warnings: [...warnings, ...kept.warnings],
      cutAt: instantOrNull(cutAt),
      ...(byHand.length > 0 && { manual: byHand.map(stepRow) }),
    })
    return kept.fail()
  }

  const inWords = (list: readonly Change[]) =>
    ringNames(facts, policies)
      .filter((ring) => list.some((change) => change.ring === ring))
      .map((ring) => ringPlan(ring, list, policies, now))
      .join('\n\n')
  for (const warning of [...warnings, ...kept.warnings]) session.warn(warning)
  if (cutAt !== null) {
    session.warn(
      `The plan ends at ${instant(cutAt, now)}, because the rings change too often for a longer one. ` +
        'Look less far ahead with --until or --steps.',
    )
  }
  if (due.length === 0) session.print('Nothing is due now.\n')
  else {
    const within = span(config.rotation.refreshInterval)
    session.print(`Due now; a running server acts within ${within}:\n\n${inWords(due)}\n`)
  }
  const future = inWords(changes) || '  nothing'
  session.print(`What comes next, without further orders:\n\n${future}`)
  if (byHand.length > 0) session.print(`\nTo do by hand:\n\n${stepsText(byHand, now)}`)
  for (const text of kept.texts) session.print(`\n${text}`)
  kept.fail()
}

/** The changes of one ring in words, grouped by instant. */
function ringPlan(
  ring: string,
  changes: readonly Change[],
  policies: RotationPolicies,
  now: number,
): string {
  const policy = policies.policyFor(ring)
  const own = changes.filter((change) => change.ring === ring)
  const lines = [...new Set(own.map((change) => change.at))].flatMap((at) => [
    `  ${at === now ? 'now' : instant(at, now)}`,
    ...own
      .filter((change) => change.at === at)
      .flatMap((change) => [
        `    ${keyWords(change)} ${changeWords(change, policy)}`,
        ...(change.readers === null ? [] : [`      relying parties: ${change.readers}`]),
      ]),
  ])
  return [ring, ...lines].join('\n')
}
