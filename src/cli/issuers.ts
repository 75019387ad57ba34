import type { Command } from 'commander'
import { Refused } from '../errors.ts'
import { assertStopped } from '../nodes/node.ts'
import type { Stores } from '../server/stores.ts'
import { isLoopback } from '../values/loopback.ts'
import { issuerRule } from '../values/uri.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  loadCommandConfig,
  printJson,
} from './context.ts'
import { table } from './table.ts'
import { counted } from './words.ts'

/** Commands that list and rename issuers. */

export function addIssuers(issuers: Command, program: Command, context: Context): void {
  issuers
    .command('list')
    .description('list every issuer that is configured or has keys, accounts or clients')
    .option(...JSON_OPTION)
    .action((options: JsonOption) =>
      withAnyIssuer(program, context, (opened) => listIssuers(opened, options)),
    )
  issuers
    .command('rename')
    .description(
      'give an issuer another URL, with its keys, people and clients, while every node is stopped',
    )
    .argument('<old>', 'present URL')
    .argument('<new>', 'new URL')
    .option('--apply', 'rename; without this the command shows what it would do')
    .option(...JSON_OPTION)
    .action((from: string, to: string, options: RenameOptions) =>
      withAnyIssuer(program, context, (opened) => rename({ from, to }, options, opened)),
    )
}

interface RenameOptions extends JsonOption {
  readonly apply?: true
}

interface Opened {
  readonly context: Context
  readonly stores: Stores
  readonly configured: readonly string[]
  readonly refreshInterval: number
}

/** Opens the stores, even if they belong to another issuer than the configuration names. */
async function withAnyIssuer(
  program: Command,
  context: Context,
  work: (opened: Opened) => Promise<void>,
): Promise<void> {
  const config = await loadCommandConfig(program, context)
  const [{ openStores }, { assertDatabase }] = await Promise.all([
    import('../server/stores.ts'),
    import('../server/assert-database.ts'),
  ])
  await assertDatabase(config)
  const stores = await openStores(config, context.clock, () => {}, { ofAnyIssuer: true })
  try {
    const configured = config.issuers.map(({ issuer }) => issuer)
    const { refreshInterval } = config.rotation
    await work({ context, stores, configured, refreshInterval })
  } finally {
    await stores.close()
  }
}

async function listIssuers(
  { context, stores, configured }: Opened,
  { json }: JsonOption,
): Promise<void> {
  const known = await stores.issuers.list()
  const none = { keys: 0, accounts: 0, clients: 0 }
  const rest = configured.filter((issuer) => !known.some((each) => each.issuer === issuer))
  const rows = [...known, ...rest.map((issuer) => ({ issuer, ...none }))].map((each) => ({
    ...each,
    isConfigured: configured.includes(each.issuer),
  }))
  if (json) return printJson(context, rows)
  const cells = rows.map(({ issuer, isConfigured, keys, accounts, clients }) => [
    issuer,
    isConfigured ? 'yes' : 'no',
    `${keys}`,
    `${accounts}`,
    `${clients}`,
  ])
  context.print(table(['ISSUER', 'CONFIGURED', 'KEYS', 'PEOPLE', 'CLIENTS'], cells, context))
}

const RUNNING = {
  what: 'renamed',
  why: 'They would serve the issuer under its former URL, with new keys.',
}

async function rename(
  { from, to }: { readonly from: string; readonly to: string },
  { apply, json }: RenameOptions,
  { context, stores, refreshInterval }: Opened,
): Promise<void> {
  const problem = issuerRule(isLoopback)(to)
  if (problem) {
    const message = `${to} cannot be an issuer. An issuer must be ${problem.expected}.`
    throw new Refused('issuer_invalid', { issuer: to }, message)
  }
  const before = await stores.issuers.look(from, to)
  const now = (await stores.nodes.time()) ?? context.clock.now()
  if (apply) {
    assertStopped(await stores.nodes.list(), { refreshInterval, now }, RUNNING)
    await stores.issuers.rename(from, to)
  }
  if (json) return printJson(context, { done: apply === true, from, to, ...before })
  const { keys, accounts, clients } = before
  const moved = [
    counted(keys, 'key'),
    counted(accounts, 'person', 'people'),
    counted(clients, 'client'),
  ].join(', ')
  const lines = [
    `${apply ? 'Renamed ' : 'Would rename'}  ${from} to ${to}: ${moved}, with all events and consents`,
    '',
    ...CONSEQUENCES,
    '',
    apply
      ? `Set issuer to ${to}, and start the nodes.`
      : 'Nothing was done. To rename it, stop every node and add --apply.',
  ]
  context.print(lines.join('\n'))
}

/** Consequences for relying parties and people. */
const CONSEQUENCES = [
  'Relying parties know an issuer by its URL. Configure each with the new URL; until then it refuses tokens,',
  'because `iss` in tokens and answers differs. A relying party with the new URL refuses tokens with the former',
  'one. Endpoints move with the URL; the keys in the JWKS stay the same.',
  'People keep their names, passwords and `sub`; clients keep their ids and secrets. Everybody signs in once more:',
  'sessions, refresh tokens, opaque access tokens and sign-ins under way end.',
  'A witness on another machine starts anew, with a warning at its first start.',
]
