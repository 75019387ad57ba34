import type { Command } from 'commander'
import type { AuthenticatedAnew } from '../database/authenticate-anew.ts'
import { assertStopped } from '../nodes/node.ts'
import { acceptanceTail, earlyKeyPrice } from '../relying-parties/order-price.ts'
import { abandonLosses, findLosses, type Losses } from '../ring/abandon.ts'
import type { DeploymentSecret } from '../ring/deployment.ts'
import { activeKey, ringStates } from '../ring/lifecycle.ts'
import { turnStoredRings } from '../ring/operate.ts'
import type { RingPolicy } from '../ring/policy.ts'
import { shellWord } from '../values/shell-word.ts'
import { type Context, printJson } from './context.ts'
import { earlyKeyText } from './key-prices.ts'
import type { OrderOptions } from './order-options.ts'
import { pricing, ringWork } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { counted } from './words.ts'

/** The way out where a key-encryption key is lost, told before it is done. */

interface AbandonOptions extends OrderOptions {
  readonly lostKek?: true
  readonly yes?: true
}

/** @param order makes a command that takes --reason, --actor and --json */
export function addKeyAbandon(
  order: (name: string, description: string) => Command,
  program: Command,
  context: Context,
): void {
  order('abandon', 'give up keys that no key-encryption key opens, and start new ones')
    .requiredOption('--lost-kek', 'a key-encryption key is lost for good')
    .option('--yes', 'do it; without this the command tells what it would do')
    .addHelpText(
      'after',
      '\nStop every node first: one that runs still has the keys, and its key-encryption key may be found\n' +
        'with it. Where the key-encryption key may turn up again, wait: what is given up stays revoked.',
    )
    .action((options: AbandonOptions) =>
      withSession(program, context, (session) => abandon(options, session)),
    )
}

async function abandon(options: AbandonOptions, session: Session): Promise<void> {
  const { stores, config, policies, now, clock } = session
  const { actor, reason, yes, json } = options
  const { refreshInterval } = config.rotation
  assertStopped(await stores.nodes.list(), { refreshInterval, now }, RUNNING)
  const { protectorOf } = await import('../server/stores.ts')
  const target = {
    issuer: stores.issuer,
    store: stores.keys,
    protector: protectorOf(config),
    clock,
  }
  if (!yes) {
    const losses = await findLosses(target)
    if (json) return printJson(session, { done: false, ...summary(losses, session) })
    session.print(preview('Would revoke', losses, session))
    return session.print('Nothing was done. To do it: keyturn keys abandon --lost-kek --yes')
  }
  const done: AuthenticatedAnew[] = []
  const authenticateAnew = async (secret: DeploymentSecret) => {
    done.push(await stores.authenticateAnew(secret))
  }
  const losses = await abandonLosses({ ...target, authenticateAnew }, { now, actor, reason })
  const anew = done.at(-1)
  if (!json) session.warn(preview('Revoked', losses, session))
  const facts = await turnStoredRings(ringWork(session), losses.sealer)
  const lostClientSecrets = anew?.lostSecrets ?? []
  if (json) {
    return printJson(session, { done: true, ...summary(losses, session), lostClientSecrets })
  }
  if (anew) {
    session.print(
      `Kept     ${counted(anew.accounts, 'person', 'people')}, ${counted(anew.clients, 'client')} and ` +
        `${counted(anew.consents, 'consent')}, as the database has them: look whether all of it is yours`,
    )
  }
  for (const id of lostClientSecrets) {
    session.print(
      `Lost     the secret of client ${id}: give it another one (remove it, add it again)`,
    )
  }
  for (const policy of policies.rings) {
    const active = activeKey(ringStates(facts, policy, now))
    session.print(`Signs    ${active ? active.key.kid : 'no key'} (${policy.ring})`)
  }
  for (const { issuer, keys } of await stores.issuers.list()) {
    if (issuer === stores.issuer || keys === 0) continue
    session.print(
      `Next     the keys of ${issuer}: keyturn --issuer ${shellWord(issuer)} keys abandon --lost-kek`,
    )
  }
  session.print('Back up the key-encryption key now, apart from the database, and start the nodes.')
}

/** A node that runs would put the keys back. */
const RUNNING = {
  what: 'given up',
  why: 'They still have the keys, and perhaps the key-encryption key in a file or an environment.',
}

function summary({ keys, isSecretLost }: Losses, session: Session) {
  const rings = session.policies.rings.filter(({ published }) => published)
  return {
    revoked: keys.map(({ id, ring, generation }) => ({ kid: id, ring, generation })),
    secretLost: isSecretLost,
    prices: rings.map((policy) => ({
      ring: policy.ring,
      refusedTokens: earlyKeyPrice(newKey(policy, session), pricing(session)),
      trustedKeys: acceptanceTail(policy.ring, pricing(session)),
    })),
  }
}

function preview(verb: string, { keys, isSecretLost }: Losses, session: Session): string {
  const first = session.policies.rings.find(({ published }) => published)
  return [
    ...keys.map(
      ({ id, ring, generation }, i) =>
        `${i === 0 ? verb : ' '.repeat(verb.length)}  ${id} (${ring} ${generation})`,
    ),
    '',
    'Tokens that these keys signed are refused by relying parties as soon as they fetch the JWKS again.',
    ...(first ? [earlyKeyText('A new key', newKey(first, session), session)] : []),
    ...(isSecretLost
      ? [
          'The secret of the deployment is lost too. Everybody has to sign in again, and refresh tokens,',
          'opaque access tokens and consents under way end.',
          '',
        ]
      : []),
  ].join('\n')
}

function newKey({ ring }: RingPolicy, { now }: Session) {
  return { ring, createdAt: now }
}
