import type { KeyFacts } from '../keys/key.ts'
import { activeKey, type RingFacts, ringStates } from '../keys/lifecycle.ts'
import { assume, type EventAction, plan } from '../keys/plan.ts'
import { promotionPrice, revocationPrice, timeToReach } from '../keys/price.ts'
import type { Session } from './session.ts'
import { table } from './table.ts'
import { span } from './words.ts'

/** What an emergency costs at relying parties, told before it is done. */

type NewKey = Pick<KeyFacts, 'ring' | 'createdAt'>

/** May relying parties, or other nodes, not know the key if it signs now? */
export function isUnseen({ ring, createdAt }: NewKey, { policies, now }: Session): boolean {
  return now - createdAt < policies.policyFor(ring).propagation
}

export function earlyKeyPrice({ ring, createdAt }: NewKey, { policies, config, now }: Session) {
  return policies.policyFor(ring).published ? promotionPrice(now - createdAt, config.rotation) : []
}

/** @param name how the key is called at the beginning of a sentence */
export function earlyKeyText(name: string, key: NewKey, session: Session): string {
  const { policies, config, now } = session
  const policy = policies.policyFor(key.ring)
  const lead = now - key.createdAt
  if (!policy.published) {
    const most = span(Math.max(0, policy.maxRingAge + policy.clockSkew - lead))
    return `${name} is new: other nodes may not know it for up to ${most}.\n`
  }
  const rows = earlyKeyPrice(key, session).map(({ model, examples, failsFor }) => [
    model,
    failsFor === null ? 'until its operator acts' : span(failsFor),
    examples,
  ])
  return (
    `${name} has been published for ${span(lead)}. Nodes and HTTP caches may hide it for ` +
    `${span(timeToReach(config.rotation))}, and relying parties keep keys for some time. If it ` +
    'signs now, these refuse its tokens, for as long as this at most:\n\n' +
    `${table(['KEEPS KEYS', 'FAILS FOR', 'SUCH AS'], rows, session)}\n`
  )
}

/** How long relying parties may go on trusting a key of the ring that is revoked now. */
export function acceptanceTail(ring: string, { policies, config }: Session) {
  const { published, propagation } = policies.policyFor(ring)
  return published ? revocationPrice({ ...config.rotation, propagation }) : []
}

/** Who takes over, at what price, and how long the revoked keys go on being trusted. */
export function revocationText(
  action: EventAction,
  revoked: readonly string[],
  before: RingFacts,
  session: Session,
): string {
  const { policies, now } = session
  const policy = policies.policyFor(action.ring)
  const ordered = assume(before, action)
  const after = plan(ordered, policies, now).actions.reduce(assume, ordered)
  const successor = activeKey(ringStates(after, policy, now))?.key
  const wasSigning = activeKey(ringStates(before, policy, now))?.key.kid
  const texts: string[] = []
  if (successor && successor.kid !== wasSigning) {
    const isMade = before.keys.some((key) => key.kid === successor.kid)
    const name = isMade ? `Key ${successor.kid}` : 'A key that is made now'
    texts.push(`${name} (generation ${successor.generation}) takes over.\n`)
    if (isUnseen(successor, session)) texts.push(earlyKeyText(name, successor, session))
  }
  if (!policy.published) {
    texts.push(`Nodes may accept what was signed for up to ${span(policy.maxRingAge)}.\n`)
    return texts.join('\n')
  }
  const rows = acceptanceTail(action.ring, session).map((row) => [
    row.model,
    row.trustsFor === null ? 'until its operator acts' : span(row.trustsFor),
    row.endsWithNewKid ? 'the fresh key signs' : row.trustsFor === null ? '-' : 'it fetches',
    row.examples,
  ])
  const who = revoked.length === 1 ? `Key ${revoked[0]} leaves` : `${revoked.length} keys leave`
  texts.push(
    `${who} the JWKS. Relying parties may go on trusting what was signed, for as long as this at ` +
      'most:\n',
    `${table(['KEEPS KEYS', 'TRUSTS FOR', 'UNTIL', 'SUCH AS'], rows, session)}\n`,
  )
  return texts.join('\n')
}
