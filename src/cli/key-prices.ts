import { toRfc3339 } from '../clock.ts'
import { RP_MODELS } from '../relying-parties/models.ts'
import { acceptanceTail, earlyKeyPrice, earlySwitchesOf } from '../relying-parties/order-price.ts'
import { type PromotionPrice, timeToReach } from '../relying-parties/price.ts'
import { endInWords, endlessInWords } from '../relying-parties/price-words.ts'
import type { KeyFacts } from '../ring/key.ts'
import { activeKey, type KeyState, type RingFacts, ringStates } from '../ring/lifecycle.ts'
import { isUnseen, type Revocation } from '../ring/revocation.ts'
import { pricing } from './rings.ts'
import type { Session } from './session.ts'
import { table } from './table.ts'
import { instant, span } from './words.ts'

/** Prices of emergency orders at relying parties, shown before the order is carried out. */

type NewKey = Pick<KeyFacts, 'ring' | 'createdAt'>

/**
 * The price of a key that signs early, in words.
 * @param name of the key at the beginning of a sentence
 */
export function earlyKeyText(name: string, key: NewKey, session: Session): string {
  const { policies, config, now } = session
  const policy = policies.policyFor(key.ring)
  const lead = now - key.createdAt
  if (!policy.published) {
    const most = span(Math.max(0, policy.maxRingAge + policy.clockSkew - lead))
    return `${name} is new: other nodes may not know it for up to ${most}.\n`
  }
  const rows = earlyKeyPrice(key, pricing(session)).map((price) => [
    price.model,
    failureText(price),
    price.examples,
  ])
  return (
    `${name} has been published for ${span(lead)}. Nodes and HTTP caches may hide it for ` +
    `${span(timeToReach(config.rotation))}, and relying parties cache keys. If it signs now, these relying ` +
    'parties refuse its tokens, for at most this long:\n\n' +
    `${table(['KEEPS KEYS', 'FAILS FOR', 'SUCH AS'], rows, session)}\n`
  )
}

function failureText({ failsFor, from, endsBy }: PromotionPrice): string {
  if (failsFor === null) return endlessInWords({ endsBy })
  return `${span(failsFor)}${from === 'first token' ? ' from its first token on' : ''}`
}

/** When a waiting key could sign before its time, and at what price, in JSON. */
export function soonerRow({ key, activatesAt }: KeyState, session: Session) {
  const switches = earlySwitchesOf(key, pricing(session))
  return {
    kid: key.kid,
    publishedAt: toRfc3339(key.createdAt),
    plannedAt: toRfc3339(activatesAt),
    command: promoteCommand(key.kid),
    switches: switches.map((each) => ({
      from: toRfc3339(key.createdAt + each.lead),
      fails: each.fails,
    })),
  }
}

/** When a waiting key could sign before its time, in words; empty if its time has come. */
export function soonerText({ key }: KeyState, session: Session): string {
  const { policies, now } = session
  const policy = policies.policyFor(key.ring)
  if (!isUnseen(key, session)) return ''
  if (!policy.published) {
    const knownAt = key.createdAt + policy.maxRingAge + policy.clockSkew
    const when = knownAt > now ? `before ${instant(knownAt, now)} other nodes may not know it` : ''
    return `It can sign sooner${when && `; ${when}`}:\n\n  ${promoteCommand(key.kid)}\n`
  }
  const rows = earlySwitchesOf(key, pricing(session)).map(({ lead, fails }) => {
    const passing = fails.filter(({ failsFor }) => failsFor !== null)
    const worst = passing.at(-1)
    return [
      instant(key.createdAt + lead, now),
      passing.length === 0
        ? 'none that fetches by itself'
        : `${passing.flatMap(({ models }) => models).length} of ${RP_MODELS.length}`,
      worst ? span(worst.failsFor ?? 0) : '-',
      passing
        .toReversed()
        .slice(0, 3)
        .map(({ examples }) => examples.split(', ')[0])
        .join(', '),
    ]
  })
  const head = ['FROM', 'KINDS OF RELYING PARTIES THAT FAIL', 'FOR AT MOST', 'SUCH AS']
  return (
    'It can sign sooner, at a price: relying parties that do not know it yet refuse its tokens, those ' +
    `with pinned keys until their operator acts.\n\n${table(head, rows, session)}\n\n` +
    `  ${promoteCommand(key.kid)}\n`
  )
}

function promoteCommand(kid: string): string {
  return `keyturn keys promote ${kid} --force`
}

/** The successor of revoked keys, its price, and how long relying parties trust revoked keys. */
export function revocationText(
  { ring, revoked, successor: { key: successor, isMadeNow } }: Revocation,
  before: RingFacts,
  session: Session,
): string {
  const { policies, now } = session
  const policy = policies.policyFor(ring)
  const wasSigning = activeKey(ringStates(before, policy, now))?.key.kid
  const texts: string[] = []
  if (successor && successor.kid !== wasSigning) {
    const name = isMadeNow ? 'A key made now' : `Key ${successor.kid}`
    texts.push(`${name} (generation ${successor.generation}) takes over.\n`)
    if (isUnseen(successor, session)) texts.push(earlyKeyText(name, successor, session))
  }
  if (!policy.published) {
    texts.push(
      `Nodes may accept signatures of revoked keys for up to ${span(policy.maxRingAge)}.\n`,
    )
    return texts.join('\n')
  }
  const rows = acceptanceTail(ring, pricing(session), { isMadeNow }).map((row) => [
    row.model,
    row.trustsFor === null ? endlessInWords(row) : span(row.trustsFor),
    row.trustsFor === null && row.endsBy !== 'pause' ? '-' : endInWords(row),
    row.examples,
  ])
  const who = revoked.length === 1 ? `Key ${revoked[0]} leaves` : `${revoked.length} keys leave`
  texts.push(
    `${who} the JWKS. Relying parties may trust ${revoked.length === 1 ? 'its' : 'their'} signatures for at ` +
      'most this long:\n',
    `${table(['KEEPS KEYS', 'TRUSTS FOR', 'UNTIL', 'SUCH AS'], rows, session)}\n`,
  )
  return texts.join('\n')
}
