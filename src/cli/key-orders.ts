import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { toRfc3339 } from '../clock.ts'
import { KeyturnError } from '../errors.ts'
import type { KeyFacts } from '../keys/key.ts'
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
import { assume, type CreateAction, type EventAction, plan } from '../keys/plan.ts'
import { promotionPrice, revocationPrice, timeToReach } from '../keys/price.ts'
import { applyAction } from '../keys/rotate.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { keyRow } from './key-words.ts'
import { isSealFailure, openRings, recordedRings, type ShownKey, turnRings } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { table } from './table.ts'
import { instant, instantArgument, span } from './words.ts'

/** What an operator may ask of the rings. Deciding is in `operate.ts`; here it is told and done. */

interface OrderOptions extends Order, JsonOption {}

export function addKeyOrders(keys: Command, program: Command, context: Context): void {
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)
  const order = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .option('--reason <text>', 'recorded with the event', 'not given')
      .option('--actor <name>', 'who asks; recorded with the event', systemUser())
      .option(...JSON_OPTION)

  order('rotate', 'let the standby sign as soon as every relying party can know it')
    .argument('<ring>', 'such as sig/RS256')
    .action((ring: string, options: OrderOptions) =>
      session((open) => rotate(ring, options, open, context)),
    )
  order('promote', 'let a pre-active key sign now')
    .argument('<kid>')
    .option('--force', 'even though relying parties may not know it; prints the price first')
    .action((kid: string, options: OrderOptions & { force?: true }) =>
      session((open) => promote(kid, options, open, context)),
    )
  order('revoke', 'never trust a key again; a standby takes over at once')
    .argument('[kid]')
    .option('--ring <ring>', 'with --created-before: every older key of this ring')
    .option(
      '--created-before <instant>',
      'an instant such as 2026-11-22T10:00:00Z, a duration ago such as 12h, or now',
      instantArgument(context.clock.now()),
    )
    .addHelpText('after', '\nIt asks no questions: an emergency is one command.')
    .action(async (kid: string | undefined, options: RevokeOptions, command: Command) => {
      const target = targetOf(kid, options)
      if (!target) return command.error('error: name a KID, or --ring and --created-before', USAGE)
      await session((open) => revoke(target, options, open, context))
    })
}

const USAGE = { exitCode: 2, code: 'keyturn.usage' }

async function rotate(
  ring: string,
  { actor, reason, json }: OrderOptions,
  session: Session,
  context: Context,
): Promise<void> {
  const { policies, now } = session
  const order = { ring, now, actor, reason }
  const action = orderRotation(await openRings(session), policies, order)
  const facts = await perform(action, session)
  const states = ringStates(facts, policies.policyFor(ring), now)
  const next = states.find(({ key }) =>
    action.type === 'create'
      ? key.generation === action.generation
      : 'kid' in action.event && key.kid === action.event.kid,
  )
  report(next, states, json, session, context)
}

async function promote(
  kid: string,
  { actor, reason, json, force = false }: OrderOptions & { force?: boolean },
  session: Session,
  context: Context,
): Promise<void> {
  const { policies, now } = session
  const before = await openRings(session)
  const state = findState(before, policies, kid, now)
  if (state.phase === 'pre-active') warnOfEarlyKey(`Key ${kid}`, state.key, session, context)
  const action = orderPromotion(before, policies, { kid, force, now, actor, reason })
  const facts = await perform(action, session)
  const states = ringStates(facts, policies.policyFor(state.key.ring), now)
  report(findState(facts, policies, kid, now), states, json, session, context)
}

type RevokeOptions = OrderOptions & { readonly ring?: string; readonly createdBefore?: number }

type RevokeTarget =
  | { readonly kid: string }
  | { readonly ring: string; readonly createdBefore: number }

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
 * The event is recorded from what the records say, before anything is opened: revoking is the way
 * out where a key does not open.
 */
async function revoke(
  target: RevokeTarget,
  { actor, reason, json }: OrderOptions,
  session: Session,
  context: Context,
): Promise<void> {
  const { policies, stores, now } = session
  const before = await openRings(session).catch(async (error: unknown) => {
    if (!isSealFailure(error)) throw error
    return recordedRings(await stores.keys.load())
  })
  const order = { now, actor, reason }
  const action =
    'kid' in target
      ? orderRevocation(before, policies, { ...target, ...order })
      : orderRevocationBefore(before, policies, { ...target, ...order })
  const ring = 'kid' in target ? findState(before, policies, target.kid, now).key.ring : target.ring

  const revoked = revokedBy(action, before, session)
  const price = revocationPriceOf(ring, session)
  if (revoked.length === 0) context.warn('No key is revoked that was not revoked before.')
  else warnOfRevocation(ring, revoked, action, before, session, context)
  if (action) await stores.keys.addEvents([action.event])

  const facts = await turnRings(session).catch((error: unknown) => {
    if (!isSealFailure(error)) throw error
    const done = revoked.length > 0 ? `Revoked: ${revoked.join(', ')}. ` : ''
    throw new KeyturnError(error.code, `${done}The ring does not turn yet: ${error.message}`, error)
  })
  const states = ringStates(facts, policies.policyFor(ring), now)
  if (json) {
    const active = activeKey(states)?.key.kid ?? null
    return printJson(context, { ring, revoked, active, tail: price, keys: states.map(keyRow) })
  }
  for (const kid of revoked) context.print(`Revoked  ${kid}`)
  context.print(situation(states, session).join('\n'))
}

/** Records or makes what was ordered, then turns the rings as a server would. */
async function perform(
  action: EventAction | CreateAction,
  session: Session,
): Promise<RingFacts<ShownKey>> {
  const { stores } = session
  const sealer = await stores.openSealer()
  await applyAction(action, { keys: [], events: [] }, { store: stores.keys, sealer })
  return turnRings(session)
}

/** Says what an order has come to. */
function report(
  next: KeyState<ShownKey> | undefined,
  states: readonly KeyState<ShownKey>[],
  json: true | undefined,
  session: Session,
  context: Context,
): void {
  if (!json) context.print(situation(states, session).join('\n'))
  else {
    printJson(context, {
      ring: next?.key.ring ?? null,
      kid: next?.key.kid ?? null,
      activatesAt: next ? toRfc3339(next.activatesAt) : null,
      keys: states.map(keyRow),
    })
  }
}

/** Who signs, who is next, and when a running server knows. */
function situation(
  states: readonly KeyState<ShownKey>[],
  { now, config }: Session,
): readonly string[] {
  const name = ({ key }: KeyState) => `${key.kid} (generation ${key.generation})`
  const active = activeKey(states)
  const waiting = states.filter((state) => state.phase === 'pre-active')
  return [
    active ? `Signs    ${name(active)}` : 'Signs    no key',
    ...waiting.map((state) => `Next     ${name(state)} from ${instant(state.activatesAt, now)}`),
    `A running server follows within ${span(config.rotation.refreshInterval)}.`,
  ]
}

/** The price of a key that signs before relying parties are sure to know it. */
function warnOfEarlyKey(
  name: string,
  { ring, createdAt }: Pick<KeyFacts, 'ring' | 'createdAt'>,
  { policies, config, now }: Session,
  context: Context,
): void {
  const policy = policies.policyFor(ring)
  const lead = now - createdAt
  if (lead >= policy.propagation) return
  if (!policy.published) {
    const most = span(Math.max(0, policy.maxRingAge + policy.clockSkew - lead))
    context.warn(`${name} is new: other nodes may not know it for up to ${most}.\n`)
    return
  }
  const rows = promotionPrice(lead, config.rotation).map(({ model, examples, failsFor }) => [
    model,
    failsFor === null ? 'until its operator acts' : span(failsFor),
    examples,
  ])
  context.warn(
    `${name} has been published for ${span(lead)}. Nodes and HTTP caches may hide it for ` +
      `${span(timeToReach(config.rotation))}, and relying parties keep keys for some time. If it ` +
      'signs now, these refuse its tokens, for as long as this at most:\n',
  )
  context.warn(`${table(['KEEPS KEYS', 'FAILS FOR', 'SUCH AS'], rows, context)}\n`)
}

/** Who takes over, and how long the key goes on being trusted. */
function warnOfRevocation(
  ring: string,
  revoked: readonly string[],
  action: EventAction | undefined,
  before: RingFacts<ShownKey>,
  session: Session,
  context: Context,
): void {
  const { policies, now } = session
  const policy = policies.policyFor(ring)
  const ordered = action ? assume(before, action) : before
  const after = plan(ordered, policies, now).actions.reduce(assume, ordered)
  const successor = activeKey(ringStates(after, policy, now))?.key
  const wasSigning = activeKey(ringStates(before, policy, now))?.key.kid
  if (successor && successor.kid !== wasSigning) {
    const isMade = before.keys.some((key) => key.kid === successor.kid)
    const name = isMade ? `Key ${successor.kid}` : 'A key that is made now'
    context.warn(`${name} (generation ${successor.generation}) takes over.\n`)
    warnOfEarlyKey(name, successor, session, context)
  }
  if (!policy.published) {
    const most = span(policy.maxRingAge)
    context.warn(`Nodes may accept what it signed for up to ${most}.\n`)
    return
  }
  const rows = revocationPriceOf(ring, session).map((row) => [
    row.model,
    row.trustsFor === null ? 'until its operator acts' : span(row.trustsFor),
    row.endsWithNewKid ? 'the fresh key signs' : row.trustsFor === null ? '-' : 'it fetches',
    row.examples,
  ])
  context.warn(
    `${revoked.length === 1 ? `Key ${revoked[0]} leaves` : `${revoked.length} keys leave`} the ` +
      'JWKS. Relying parties may go on trusting what was signed, for as long as this at most:\n',
  )
  context.warn(`${table(['KEEPS KEYS', 'TRUSTS FOR', 'UNTIL', 'SUCH AS'], rows, context)}\n`)
}

function revocationPriceOf(ring: string, { policies, config }: Session) {
  const policy = policies.policyFor(ring)
  if (!policy.published) return []
  return revocationPrice({ ...config.rotation, propagation: policy.propagation })
}

/** The keys that an order revokes and that were not revoked before. */
function revokedBy(
  action: EventAction | undefined,
  before: RingFacts<ShownKey>,
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
function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
