import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { toRfc3339 } from '../clock.ts'
import { nameProblem, proseProblem } from '../config/text.ts'
import { KeyturnError, Refused, StoreUnavailable } from '../errors.ts'
import {
  activeKey,
  allStates,
  type KeyState,
  type RingFacts,
  ringStates,
} from '../keys/lifecycle.ts'
import {
  findState,
  type Order,
  orderPromotion,
  orderRevocation,
  orderRevocationBefore,
  orderRotation,
} from '../keys/operate.ts'
import { assume, type CreateAction, type EventAction } from '../keys/plan.ts'
import { applyAction, assertComplete, isSealFailure, type LoadedRings } from '../keys/rotate.ts'
import type { RingKey } from '../keys/seal.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { addKeyAbandon } from './key-abandon.ts'
import {
  acceptanceTail,
  earlyKeyPrice,
  earlyKeyText,
  isUnseen,
  revocationText,
  soonerRow,
  soonerText,
} from './key-prices.ts'
import { keyRow } from './key-words.ts'
import { KID_HELP, kidArgument } from './kid-argument.ts'
import { openRecordedRings, openRings, openRingsToChange, turnStoredRings } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { instant, instantArgument, type NamedInstant, span, textArgument } from './words.ts'

/** What an operator may ask of the rings. Deciding is in `operate.ts`; here it is told and done. */

interface OrderOptions extends Order, JsonOption {}

export function addKeyOrders(keys: Command, program: Command, context: Context): void {
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)
  const order = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .option('--reason <text>', 'recorded with the event', prose, 'not given')
      .option('--actor <name>', 'who asks; recorded with the event', prose, systemUser())
      .option(...JSON_OPTION)

  addKeyAbandon(order, program, context)
  order('rotate', 'let the standby sign as soon as every relying party can know it')
    .argument('<ring>', 'such as sig/RS256', textArgument(nameProblem))
    .addHelpText(
      'after',
      '\nA standby that has been published for less than rotation.propagation signs once it has. The answer\n' +
        'says why, and what it costs to be faster: keys promote KID --force.',
    )
    .action((ring: string, options: OrderOptions) => session((open) => rotate(ring, options, open)))
  order('promote', 'let a pre-active key sign now')
    .argument('<kid>', KID_HELP, kidArgument)
    .option('--force', 'even though relying parties may not know it; prints the price first')
    .action((kid: string, options: OrderOptions & { force?: true }) =>
      session((open) => promote(kid, options, open)),
    )
  order('revoke', 'never trust a key again; a standby takes over at once')
    .argument('[kid]', KID_HELP, kidArgument)
    .option(
      '--ring <ring>',
      'with --created-before: every older key of this ring',
      textArgument(nameProblem),
    )
    .option(
      '--created-before <instant>',
      'an instant such as 2026-11-22T10:00:00Z, a duration ago such as 12h, or now',
      instantArgument,
    )
    .addHelpText(
      'after',
      '\nIt asks no questions: an emergency is one command. Relying parties that fetch the JWKS only for a\n' +
        'kid that they have never seen go on trusting the revoked key until a fresh key signs, one\n' +
        'rotation.propagation later. The answer says from when the fresh key can sign sooner, which relying\n' +
        'parties would refuse its tokens then and for how long, and with which command.',
    )
    .action(async (kid: string | undefined, options: RevokeOptions, command: Command) => {
      const target = targetOf(kid, options)
      if (!target) return command.error('error: name a KID, or --ring and --created-before', USAGE)
      await session((open) => revoke(target, options, open))
    })
}

/** Events are facts: what cannot be read in them cannot be mended later. */
const prose = textArgument(proseProblem)

const USAGE = { exitCode: 2, code: 'keyturn.usage' }

async function rotate(
  ring: string,
  { actor, reason, json }: OrderOptions,
  session: Session,
): Promise<void> {
  const { policies, now } = session
  const order = { ring, now, actor, reason }
  const before = await openRingsToChange(session)
  const action = decide(
    () => orderRotation(before, policies, order),
    () => {
      const waiting = waitingIn(ringStates(before, policies.policyFor(ring), now))
      if (waiting && !json) session.warn(`${whyNotSooner(waiting, session)}`)
    },
  )
  const facts = await perform(action, before, session)
  const states = ringStates(facts, policies.policyFor(ring), now)
  const next = states.find(({ key }) =>
    action.type === 'create'
      ? key.generation === action.generation
      : 'kid' in action.event && key.kid === action.event.kid,
  )
  const early = next && next.phase === 'pre-active' ? next : undefined
  if (json) {
    const sooner = early ? soonerRow(early, session) : null
    return printJson(session, { ...outcome(next, states), sooner })
  }
  session.print(situation(states, session))
  if (early) session.print(`\n${whyNotSooner(early, session)}`)
}

/** What decides may refuse; then something is said before. */
function decide<T>(order: () => T, onRefusal: () => void): T {
  try {
    return order()
  } catch (error) {
    if (error instanceof Refused) onRefusal()
    throw error
  }
}

function waitingIn(states: readonly KeyState<RingKey>[]): KeyState<RingKey> | undefined {
  return states.find((state) => state.phase === 'pre-active')
}

/** Why a rotation is not at once, and how it could be. */
function whyNotSooner(state: KeyState, session: Session): string {
  const { policies, now } = session
  const { key, activatesAt } = state
  const { propagation, published } = policies.policyFor(key.ring)
  const who = published ? 'every relying party' : 'every node'
  const sooner = soonerText(state, session)
  if (sooner === '') return ''
  return (
    `Key ${key.kid} has been published since ${instant(key.createdAt, now)}. A key signs once that ` +
    `is ${span(propagation)} (rotation.propagation), so that ${who} knows it by then: from ` +
    `${instant(activatesAt, now)}.\n\n${sooner}`
  )
}

async function promote(
  named: string,
  { actor, reason, json, force = false }: OrderOptions & { force?: boolean },
  session: Session,
): Promise<void> {
  const { policies, now } = session
  const before = await openRingsToChange(session)
  const state = findState(before, policies, named, now)
  const { kid } = state.key
  const isEarly = state.phase === 'pre-active' && isUnseen(state.key, session)
  if (isEarly) session.warn(earlyKeyText(`Key ${kid}`, state.key, session))
  const action = orderPromotion(before, policies, { kid, force, now, actor, reason })
  const facts = await perform(action, before, session)
  const states = ringStates(facts, policies.policyFor(state.key.ring), now)
  if (json) {
    const price = isEarly ? earlyKeyPrice(state.key, session) : []
    return printJson(session, { ...outcome(findState(facts, policies, kid, now), states), price })
  }
  session.print(situation(states, session))
}

type RevokeOptions = OrderOptions & {
  readonly ring?: string
  readonly createdBefore?: NamedInstant
}

type RevokeTarget =
  | { readonly kid: string }
  | { readonly ring: string; readonly createdBefore: NamedInstant }

function targetOf(
  kid: string | undefined,
  { ring, createdBefore }: RevokeOptions,
): RevokeTarget | undefined {
  if (kid !== undefined) {
    return ring === undefined && createdBefore === undefined ? { kid } : undefined
  }
  return ring === undefined || createdBefore === undefined ? undefined : { ring, createdBefore }
}

/**
 * Where a key does not open, revoking it is the way out: what its record says is then enough to
 * decide, and the event is recorded before anything is done that needs open keys.
 */
async function revoke(
  target: RevokeTarget,
  { actor, reason, json }: OrderOptions,
  session: Session,
): Promise<void> {
  const { policies, now } = session
  const before = await openRings(session).catch(async (error: unknown) => {
    if (!isSealFailure(error)) throw error
    return openRecordedRings(session)
  })
  const order = { now, actor, reason }
  const action =
    'kid' in target
      ? orderRevocation(before, policies, { ...target, ...order })
      : orderRevocationBefore(before, policies, {
          ...order,
          ring: target.ring,
          createdBefore: target.createdBefore(now),
        })
  const ring = 'kid' in target ? findState(before, policies, target.kid, now).key.ring : target.ring

  const revoked = revokedBy(action, before, session)
  const tail = acceptanceTail(ring, session)
  if (!action || revoked.length === 0) {
    session.warn('No key is revoked that was not revoked before.')
  } else session.warn(revocationText(action, revoked, before, session))
  if (action) await applyOrder(action, before, session)

  const done = revoked.length > 0 ? `Revoked: ${revoked.join(', ')}. ` : ''
  const facts = await turnStoredRings(session).catch(notTurned(done))
  const states = ringStates(facts, policies.policyFor(ring), now)
  // The one that is made now, to which the ring switches one propagation later.
  const fresh = waitingIn(states.filter((state) => isUnseen(state.key, session)))
  if (json) {
    const active = activeKey(states)?.key.kid ?? null
    const sooner = fresh ? soonerRow(fresh, session) : null
    return printJson(session, { ring, revoked, active, tail, sooner, keys: states.map(keyRow) })
  }
  for (const kid of revoked) session.print(`Revoked  ${kid}`)
  session.print(situation(states, session))
  if (fresh && revoked.length > 0) session.print(`\n${freshText(fresh, session)}`)
}

/** What ends the trust of those that drop a key only when they meet another that is new to them. */
function freshText(fresh: KeyState, session: Session): string {
  const { key, activatesAt } = fresh
  const { published } = session.policies.policyFor(key.ring)
  const trust = published
    ? 'Relying parties that fetch only for a kid that they have never seen go on trusting what is ' +
      'revoked until they meet the fresh key'
    : 'The fresh key is one that nobody had before. It is'
  return (
    `${trust} ${key.kid} (generation ${key.generation}), which signs from ` +
    `${instant(activatesAt, session.now)}. ${soonerText(fresh, session)}`
  )
}

/** Records or makes what was ordered, then turns the rings as a server would. */
async function perform(
  action: EventAction | CreateAction,
  before: LoadedRings,
  session: Session,
): Promise<LoadedRings> {
  await applyOrder(action, assertComplete(before), session)
  return turnStoredRings(session).catch(notTurned('The order is recorded. '))
}

/** What was ordered is done, and must not be told as a failure where the turn after it fails. */
function notTurned(done: string) {
  return (error: unknown): never => {
    if (!(error instanceof KeyturnError)) throw error
    const text = `${done}The ring does not turn yet; a running server turns it: ${error.message}`
    throw new KeyturnError(error.code, text, error)
  }
}

async function applyOrder(
  action: EventAction | CreateAction,
  before: LoadedRings,
  { stores }: Session,
): Promise<void> {
  const sealer = await stores.openSealer()
  await applyAction(action, before, { store: stores.keys, sealer }).catch((error: unknown) => {
    if (!(error instanceof StoreUnavailable) || !error.mayBeDone) throw error
    const text = `${error.message} See: keyturn keys events. To give the order twice does no harm.`
    throw new StoreUnavailable(text, error, error)
  })
}

/** What an order has come to, in JSON. */
function outcome(next: KeyState<RingKey> | undefined, states: readonly KeyState<RingKey>[]) {
  return {
    ring: next?.key.ring ?? null,
    kid: next?.key.kid ?? null,
    activatesAt: next ? toRfc3339(next.activatesAt) : null,
    keys: states.map(keyRow),
  }
}

/** Who signs, who is next, and when a running server knows. */
function situation(states: readonly KeyState<RingKey>[], session: Session): string {
  const { now } = session
  const name = ({ key }: KeyState) => `${key.kid} (generation ${key.generation})`
  const active = activeKey(states)
  const waiting = states.filter((state) => state.phase === 'pre-active')
  return [
    active ? `Signs    ${name(active)}` : 'Signs    no key',
    ...waiting.map((state) => `Next     ${name(state)} from ${instant(state.activatesAt, now)}`),
    whenNodesFollow(session),
  ].join('\n')
}

/** What was written has been announced by now, or not. */
function whenNodesFollow({ config, stores: { redis } }: Session): string {
  const latest = span(config.rotation.refreshInterval)
  if (!redis) return `Running nodes follow within ${latest}.`
  const { isReachable, detail } = redis.status
  return isReachable
    ? `Running nodes follow at once; those that Redis does not reach, within ${latest}.`
    : `${detail}. Running nodes follow within ${latest}.`
}

/** The keys that an order revokes and that were not revoked before. */
function revokedBy(
  action: EventAction | undefined,
  before: RingFacts<RingKey>,
  { policies, now }: Session,
): readonly string[] {
  if (!action) return []
  const trusted = allStates(before, policies, now).filter((state) => state.revokedAt === null)
  const after = allStates(assume(before, action), policies, now)
  return trusted
    .map((state) => state.key.kid)
    .filter((kid) => after.some((state) => state.key.kid === kid && state.revokedAt !== null))
}

/** A container may run under a number that has no name. */
export function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
