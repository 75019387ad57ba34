import type { Command } from 'commander'
import { KeyturnError, Refused, StoreUnavailable } from '../errors.ts'
import { activeKey, type KeyState, ringStates } from '../ring/lifecycle.ts'
import { assertComplete, isSealFailure, type LoadedRings } from '../ring/loaded-rings.ts'
import {
  findState,
  newlyRevoked,
  orderPromotion,
  orderRevocation,
  orderRevocationBefore,
  orderRotation,
} from '../ring/orders.ts'
import { assume, type CreateAction, type EventAction } from '../ring/plan.ts'
import { createRings } from '../ring/rings.ts'
import type { RingKey } from '../ring/seal.ts'
import { nameProblem } from '../values/text.ts'
import { type Context, JSON_OPTION, printJson } from './context.ts'
import { addKeyAbandon } from './key-abandon.ts'
import { freshText, outcome, situation, whyNotSooner } from './key-outcome.ts'
import {
  acceptanceTail,
  earlyKeyPrice,
  earlyKeyText,
  isUnseen,
  revocationText,
  soonerRow,
  successorAfter,
} from './key-prices.ts'
import { keyRow } from './key-words.ts'
import { KID_HELP, kidArgument } from './kid-argument.ts'
import { type OrderOptions, proseArgument, systemUser } from './order-options.ts'
import { openRecordedRings, openRings, openRingsToChange, turnStoredRings } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { instantArgument, type NamedInstant, textArgument } from './words.ts'

/** What an operator may ask of the rings. Deciding is in `operate.ts`; here it is told and done. */

export function addKeyOrders(keys: Command, program: Command, context: Context): void {
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)
  const order = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .option('--reason <text>', 'recorded with the event', proseArgument, 'not given')
      .option('--actor <name>', 'who asks; recorded with the event', proseArgument, systemUser())
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
      if (waiting && !json) session.warn(whyNotSooner(waiting, session))
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

  const revoked = action
    ? newlyRevoked({ before, after: assume(before, action) }, policies, now)
    : []
  const { isMadeNow } = action ? successorAfter(action, before, session) : { isMadeNow: false }
  const tail = acceptanceTail(ring, session, { isMadeNow })
  if (!action || revoked.length === 0) {
    session.warn('No key is revoked that was not revoked before.')
  } else session.warn(revocationText(action, revoked, before, session))
  if (action) await applyOrder(action, before, session)

  const done = revoked.length > 0 ? `Revoked: ${revoked.join(', ')}. ` : ''
  const facts = await turnStoredRings(session).catch(notTurned(done))
  const states = ringStates(facts, policies.policyFor(ring), now)
  // The one to which the ring switches one propagation later, unless what signs is new already.
  const unseen = waitingIn(states.filter((state) => isUnseen(state.key, session)))
  const fresh = isMadeNow ? undefined : unseen
  if (json) {
    const active = activeKey(states)?.key.kid ?? null
    const sooner = fresh ? soonerRow(fresh, session) : null
    return printJson(session, { ring, revoked, active, tail, sooner, keys: states.map(keyRow) })
  }
  for (const kid of revoked) session.print(`Revoked  ${kid}`)
  session.print(situation(states, session))
  if (fresh && revoked.length > 0) session.print(`\n${freshText(fresh, session)}`)
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
  const rings = createRings({ store: stores.keys, sealer: await stores.openSealer() })
  await rings.apply(action, before).catch((error: unknown) => {
    if (!(error instanceof StoreUnavailable) || !error.mayBeDone) throw error
    const text = `${error.message} See: keyturn keys events. To give the order twice does no harm.`
    throw new StoreUnavailable(text, error, { mayBeDone: true })
  })
}
