import type { Command } from 'commander'
import { Refused } from '../errors.ts'
import { acceptanceTail, earlyKeyPrice } from '../relying-parties/order-price.ts'
import { activeKey, type KeyState, ringStates } from '../ring/lifecycle.ts'
import {
  carryOut,
  carryOutRevocation,
  openRingsToChange,
  openRingsToRevoke,
} from '../ring/operate.ts'
import { findState, orderPromotion, orderRotation } from '../ring/orders.ts'
import { decideRevocation, freshKey, isUnseen } from '../ring/revocation.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { nameProblem } from '../values/text.ts'
import { type Context, JSON_OPTION, printJson } from './context.ts'
import { findKeptKey, isKeptRing } from './kept-rings.ts'
import { addKeyAbandon } from './key-abandon.ts'
import { freshText, outcome, situation, whyNotSooner } from './key-outcome.ts'
import { earlyKeyText, revocationText, soonerRow } from './key-prices.ts'
import { keyRow } from './key-words.ts'
import { KID_HELP, kidArgument } from './kid-argument.ts'
import { type OrderOptions, withOrder } from './order-options.ts'
import { pricing, ringWork, tellingFaults } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { instantArgument, type NamedInstant, textArgument } from './words.ts'

/**
 * The commands `keys rotate`, `promote` and `revoke`. `ring/orders.ts` decides; this file prints.
 */

export function addKeyOrders(keys: Command, program: Command, context: Context): void {
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)
  const order = (name: string, description: string) =>
    withOrder(keys.command(name).description(description)).option(...JSON_OPTION)

  addKeyAbandon(order, program, context)
  order('rotate', 'switch to the standby as soon as every relying party knows it')
    .argument('<ring>', 'ring, such as sig/RS256', textArgument(nameProblem))
    .addHelpText(
      'after',
      '\nA standby that has been published for less than rotation.propagation signs when that time is over. The\n' +
        'answer says why, and what an earlier switch costs: keys promote KID --force.',
    )
    .action((ring: string, options: OrderOptions) => session((open) => rotate(ring, options, open)))
  order('promote', 'switch to a pre-active key now')
    .argument('<kid>', KID_HELP, kidArgument)
    .option('--force', 'although relying parties may not know the key; prints the price first')
    .action((kid: string, options: OrderOptions & { force?: true }) =>
      session((open) => promote(kid, options, open)),
    )
  order('revoke', 'revoke a key for ever; a standby takes over at once')
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
      '\nThe command asks no questions, because an emergency must be one command. Relying parties that fetch the\n' +
        'JWKS only for an unknown kid trust the revoked key until a fresh key signs, one rotation.propagation\n' +
        'later. The answer says which command lets the fresh key sign sooner, from when, which relying parties\n' +
        'would refuse its tokens, and for how long.',
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
  const before = await tellingFaults(openRingsToChange(ringWork(session)), session)
  const action = decide(
    () => orderRotation(before, policies, order),
    () => {
      const waiting = waitingIn(ringStates(before, policies.policyFor(ring), now))
      if (waiting && !json) session.warn(whyNotSooner(waiting, session))
    },
  )
  const facts = await carryOut(action, before, ringWork(session))
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

/** Takes a decision; calls `onRefusal` before a refusal is thrown. */
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
  const before = await tellingFaults(openRingsToChange(ringWork(session)), session)
  const state = findState(before, policies, named, now)
  const { kid } = state.key
  const isEarly = state.phase === 'pre-active' && isUnseen(state.key, session)
  if (isEarly) session.warn(earlyKeyText(`Key ${kid}`, state.key, session))
  const action = orderPromotion(before, policies, { kid, force, now, actor, reason })
  const facts = await carryOut(action, before, ringWork(session))
  const states = ringStates(facts, policies.policyFor(state.key.ring), now)
  if (json) {
    const price = isEarly ? earlyKeyPrice(state.key, pricing(session)) : []
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

async function revoke(
  target: RevokeTarget,
  { actor, reason, json }: OrderOptions,
  session: Session,
): Promise<void> {
  const { policies, now } = session
  const order = { actor, reason, ...(json ? { json } : {}), session }
  if ('ring' in target && isKeptRing(target.ring)) {
    const [{ findKeptRing, readKeptRing }, { revokeKept }] = await Promise.all([
      import('../data-protection/operate.ts'),
      import('./kept-ring-revoke.ts'),
    ])
    const settings = findKeptRing(target.ring, session.config.dataProtection.rings)
    const createdBefore = target.createdBefore(now)
    return revokeKept(await readKeptRing(settings, now), { createdBefore }, order)
  }
  const work = ringWork(session)
  const before = await tellingFaults(openRingsToRevoke(work), session)
  if ('kid' in target) {
    const kids = before.keys.map(({ kid }) => kid)
    const kept = await findKeptKey(target.kid, kids, session)
    if (kept) {
      const { revokeKept } = await import('./kept-ring-revoke.ts')
      return revokeKept(kept.shown, { id: kept.key.id }, order)
    }
  }
  const asked = 'kid' in target ? target : { ...target, createdBefore: target.createdBefore(now) }
  const decided = decideRevocation(asked, before, { policies, now, actor, reason })
  const { ring, revoked, successor } = decided
  const tail = acceptanceTail(ring, pricing(session), successor)
  if (revoked.length === 0) session.warn('No key is newly revoked.')
  else session.warn(revocationText(decided, before, session))

  const facts = await carryOutRevocation(decided, before, work)
  const states = ringStates(facts, policies.policyFor(ring), now)
  const fresh = freshKey(states, successor, session)
  if (json) {
    const active = activeKey(states)?.key.kid ?? null
    const sooner = fresh ? soonerRow(fresh, session) : null
    return printJson(session, { ring, revoked, active, tail, sooner, keys: states.map(keyRow) })
  }
  for (const kid of revoked) session.print(`Revoked  ${kid}`)
  session.print(situation(states, session))
  if (fresh && revoked.length > 0) session.print(`\n${freshText(fresh, session)}`)
}
