import { Argument, type Command, Option } from 'commander'
import { chooseIssuer } from '../config/choose-issuer.ts'
import { rotationPolicies } from '../config/policies.ts'
import { KeyturnError, NotFound, Refused } from '../errors.ts'
import { assertKid } from '../import/build-key.ts'
import type { Imported } from '../import/imported-key.ts'
import { type Adoption, adopt } from '../moving/adopt.ts'
import type { GivenRole } from '../moving/adopt-role.ts'
import { adoptedKeys, carryIn, nextEvents, presentOf } from '../moving/operate.ts'
import { NO_RINGS } from '../ring/loaded-rings.ts'
import { openRingsToChange } from '../ring/operate.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { nameProblem } from '../values/text.ts'
import { withAdvice } from './advice.ts'
import { type Context, JSON_OPTION, loadCommandConfig, printJson } from './context.ts'
import type { SourceOptions } from './import-source.ts'
import { SYSTEMS, type System } from './import-systems.ts'
import { importRow, importText, nextRow } from './key-import-words.ts'
import { type OrderOptions, proseArgument, systemUser } from './order-options.ts'
import { ringWork, tellingFaults } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { durationArgument, instantArgument, type NamedInstant, textArgument } from './words.ts'

/** Keys that come from elsewhere: shown first, and written with --apply. */

interface ImportOptions extends Omit<OrderOptions, 'reason'>, SourceOptions {
  readonly reason?: string
  readonly apply?: true
  readonly next?: readonly string[]
  readonly leave?: readonly string[]
  readonly signer?: 'imported' | 'present'
  readonly tokenLifetime?: number
  readonly at?: NamedInstant
}

interface AddOptions extends ImportOptions {
  readonly as: GivenRole
  readonly ring?: string
  readonly kid?: string
  readonly notAfter?: NamedInstant
}

export function addKeyImports(keys: Command, program: Command, context: Context): void {
  withSourceOptions(keys.command('import'))
    .description('take over the signing keys of another system; shows what would happen first')
    .addArgument(
      new Argument('<system>', 'the system that the keys come from').choices([...SYSTEMS]),
    )
    .argument('<source>', 'a file, a directory, or the URL of a database or a JWKS')
    .option('--key-ring <dir|url>', 'Duende: the Data Protection key ring')
    .option('--application <name>', 'Duende: the application name of Data Protection')
    .option('--certificate <file>', 'Duende: opens the key ring; its password: --password-file')
    .option('--propagation <duration>', 'Duende: PropagationTime', durationArgument)
    .option('--rotation <duration>', 'Duende: RotationInterval', durationArgument)
    .option('--retention <duration>', 'Duende: RetentionDuration', durationArgument)
    .option('--realm <name>', 'Keycloak: the realm')
    .option('--files <dir>', 'Keycloak: the keystores that the realm names')
    .option('--secrets-file <file>', 'Hydra: secrets.system, one a line, the newest first')
    .option('--next <kid>', 'a key that is to sign next, where the source cannot tell', collected)
    .option('--leave <kid>', 'accept that this key cannot come along', collected)
    .option('--at <time>', 'preview of an instant, such as the planned cut-over', instantArgument)
    .action((system: System, source: string, options: ImportOptions) =>
      withCode(context, (quiet) => {
        const reason = options.reason ?? `moved in from ${system}`
        const read = async (now: number) => {
          const { readSource } = await import('./import-source.ts')
          return readSource(system, source, { ...options, now })
        }
        const showsSha256 = system === 'keycloak'
        return takeIn(read, { ...options, reason, showsSha256 }, program, quiet)
      }),
    )
  withSourceOptions(keys.command('add'))
    .description('add a key by hand: from JWK, PEM, PKCS#8, PKCS#12, or a JWKS by file or URL')
    .argument('<file>', 'a file, a directory, or the https URL of a JWKS')
    .addOption(
      new Option('--as <role>', 'what it is to be')
        .choices(['active', 'standby', 'validation'])
        .makeOptionMandatory(),
    )
    .option('--ring <ring>', 'such as sig/RS256', textArgument(nameProblem))
    .option('--kid <kid>', 'the kid that relying parties know it by')
    .option('--not-after <time>', 'for validation: when it leaves the JWKS', instantArgument)
    .action((file: string, options: AddOptions) =>
      withCode(context, (quiet) => {
        const reason = options.reason ?? `added as ${options.as}`
        const read = async (now: number) => {
          const { readKeys } = await import('./import-source.ts')
          return renamed(await readKeys(file, { ...options, now }), options.kid)
        }
        return takeIn(read, { ...options, reason }, program, quiet)
      }),
    )
}

function withSourceOptions(command: Command): Command {
  return command
    .option('--apply', 'do what the preview shows')
    .option('--password-file <file>', 'password of the file')
    .option('--key-password-file <file>', 'password of the key in it, where it is another')
    .option('--alias <name>', 'the one entry of a keystore that is meant')
    .addOption(
      new Option('--signer <which>', 'which key signs on in a ring that signs already').choices([
        'imported',
        'present',
      ]),
    )
    .option('--token-lifetime <duration>', 'longest of the old system', durationArgument)
    .option('--reason <text>', 'recorded with events', proseArgument)
    .option('--actor <name>', 'who asks; recorded with events', proseArgument, systemUser())
    .option(...JSON_OPTION)
}

function collected(kid: string, before: readonly string[] = []): readonly string[] {
  return [...before, kid]
}

type TakeInOptions = Omit<AddOptions, 'as' | 'reason'> & {
  readonly as?: GivenRole
  readonly reason: string
  readonly showsSha256?: boolean
}

/** What a preview works with; undefined stores where there is no database yet. */
interface Scene {
  readonly policies: RotationPolicies
  readonly now: number
  readonly session: Session | undefined
}

async function takeIn(
  read: (now: number) => Promise<Imported>,
  options: TakeInOptions,
  program: Command,
  context: Context,
): Promise<void> {
  if (options.apply && options.at) {
    throw new Refused('preview_only', {}, 'A preview of another instant (--at) writes nothing.')
  }
  await withScene(program, context, options, async ({ policies, now: today, session }) => {
    const now = options.at?.(today) ?? today
    const imported = await read(now)
    const rings = session
      ? await tellingFaults(openRingsToChange(ringWork(session)), context)
      : NO_RINGS
    const { notAfter, ...given } = options
    const decided = adopt(imported, await presentOf(rings), {
      ...given,
      policies,
      now,
      notAfter: notAfter?.(now),
    })
    if (options.apply) assertNothingLost(decided)
    if (options.apply && session) await carryIn(decided, rings, ringWork(session))
    const applied = options.apply === true && session !== undefined
    return () => show(decided, { policies, now, applied }, options, context)
  })
}

/** @throws Refused `ring_missing` */
function assertNothingLost({ left, lost }: Adoption): void {
  if (lost.length === 0) return
  const reasons = left.flatMap(({ name, reason }) =>
    lost.includes(name) ? `${name}: ${reason}` : [],
  )
  throw new Refused(
    'ring_missing',
    { kids: lost },
    `Nothing was added, because keys of the old system have no ring here. ${reasons.join(' ')}`,
  )
}

function show(
  decided: Adoption,
  { policies, now, applied }: { policies: RotationPolicies; now: number; applied: boolean },
  { at, json }: TakeInOptions,
  context: Context,
): void {
  const { left, lost, after } = decided
  const keys = adoptedKeys(decided, policies, now)
  const next = at ? nextEvents(decided, policies, now) : undefined
  if (!json) {
    context.print(importText({ keys, left, lost, next, applied, after, policies, now }, context))
    return
  }
  const rows = { keys: keys.map(importRow), left, applied }
  printJson(context, next ? { ...rows, next: next.map(nextRow) } : rows)
}

/**
 * Opens the stores. Where there is no database, all is decided without one, and one is made only for what was
 * decided to be written.
 * @param work gives what is to be told of it
 */
async function withScene(
  program: Command,
  context: Context,
  { apply }: { readonly apply?: true },
  work: (scene: Scene) => Promise<() => void>,
): Promise<void> {
  const open = (mayCreate: boolean) =>
    withSession(program, context, (session) => work({ ...session, session }), { mayCreate })
  const tell = await open(false).catch(async (error: unknown) => {
    if (!(error instanceof NotFound && error.code === 'database_not_found')) throw error
    const { issuer } = program.opts<{ issuer?: string }>()
    const config = chooseIssuer(await loadCommandConfig(program, context), issuer)
    const policies = rotationPolicies(config)
    const shown = await work({ policies, now: context.clock.now(), session: undefined })
    return apply ? open(true) : shown
  })
  tell()
}

/** The key under the kid that relying parties know it by, which no file of PEM says. */
function renamed(imported: Imported, kid: string | undefined): Imported {
  if (kid === undefined) return imported
  const [only, ...others] = imported.keys
  if (!only || others.length > 0) {
    throw new Refused(
      'kid_not_single',
      { keys: imported.keys.length },
      `There are ${imported.keys.length} keys, and --kid names one. Choose one with --alias, or a file with one.`,
    )
  }
  assertKid(kid)
  return { ...imported, keys: [{ ...only, kid }] }
}

/**
 * A refusal is one line that begins with its code, so that scripts may tell one from another. What should be known
 * besides is told where something was done.
 */
async function withCode(
  context: Context,
  work: (context: Context) => Promise<void>,
): Promise<void> {
  const notes: string[] = []
  try {
    await work({ ...context, warn: (text) => notes.push(text) })
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error
    const text = withAdvice(error).replace(/\s*\n\s*/g, ' ')
    throw new KeyturnError('told', `${error.code}: ${text}`)
  }
  for (const note of notes) context.warn(note)
}
