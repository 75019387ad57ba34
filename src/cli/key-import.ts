import { Argument, type Command, Option } from 'commander'
import { chooseIssuer } from '../config/choose-issuer.ts'
import { rotationPolicies } from '../config/policies.ts'
import { KeyturnError, NotFound, Refused } from '../errors.ts'
import { assertKid } from '../import/build-key.ts'
import type { Imported } from '../import/imported-key.ts'
import { type Adoption, adopt } from '../moving/adopt.ts'
import { assertNear } from '../moving/adopt-bounds.ts'
import { assertNothingLost } from '../moving/adopt-loss.ts'
import type { GivenRole } from '../moving/adopt-role.ts'
import { adoptedKeys, carryIn, nextEvents, presentOf } from '../moving/operate.ts'
import { NO_RINGS } from '../ring/loaded-rings.ts'
import { openRingsToChange } from '../ring/operate.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { oneLine } from '../values/steering.ts'
import { nameProblem } from '../values/text.ts'
import { withAdvice } from './advice.ts'
import { type Context, JSON_OPTION, loadCommandConfig, printJson } from './context.ts'
import type { SourceOptions } from './import-source.ts'
import { SYSTEMS, type System } from './import-systems.ts'
import { importRow, importText, nextRow } from './key-import-words.ts'
import { type OrderOptions, proseArgument, systemUser } from './order-options.ts'
import { ringWork, tellingFaults } from './rings.ts'
import { type Session, withSession } from './session.ts'
import {
  comingArgument,
  durationArgument,
  type NamedInstant,
  positiveDurationArgument,
  textArgument,
} from './words.ts'

/** The commands `keys import` and `keys add`, which show a preview and write with --apply. */

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
    .description('import the signing keys of another system; a preview without --apply')
    .addArgument(
      new Argument('<system>', 'the system that the keys come from').choices([...SYSTEMS]),
    )
    .argument('<source>', 'a file, a directory, or the URL of a database or a JWKS')
    .option('--key-ring <dir|url>', 'Duende: the Data Protection key ring')
    .option('--application <name>', 'Duende: the application name of Data Protection')
    .option(
      '--certificate <file>',
      'Duende: certificate of the key ring; its password: --password-file',
    )
    .option('--propagation <duration>', 'Duende: PropagationTime', positiveDurationArgument)
    .option('--rotation <duration>', 'Duende: RotationInterval', positiveDurationArgument)
    .option('--retention <duration>', 'Duende: RetentionDuration', positiveDurationArgument)
    .option('--realm <name>', 'Keycloak: the realm')
    .option('--files <dir>', 'Keycloak: directory of the keystores that the realm names')
    .option('--secrets-file <file>', 'Hydra: secrets.system, one in each line, newest first')
    .option('--next <kid>', 'a key that will sign next, if the source does not say so', collected)
    .option('--at <time>', 'preview for an instant, such as the planned cut-over', comingArgument)
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
    .description('add a key from a JWK, PEM, PKCS#8 or PKCS#12 file, or from a JWKS file or URL')
    .argument('<file>', 'a file, a directory, or the https URL of a JWKS')
    .addOption(
      new Option('--as <role>', 'role of the key')
        .choices(['active', 'standby', 'validation'])
        .makeOptionMandatory(),
    )
    .option('--ring <ring>', 'ring of the key, such as sig/RS256', textArgument(nameProblem))
    .option('--kid <kid>', 'kid by which relying parties know the key')
    .option('--not-after <time>', 'for validation: when the key leaves the JWKS', comingArgument)
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
    .option('--apply', 'write what the preview shows')
    .option('--password-file <file>', 'password of the file')
    .option('--key-password-file <file>', 'password of the key in the file, if it differs')
    .option('--alias <name>', 'name of one entry of a keystore')
    .addOption(
      new Option('--signer <which>', 'which key signs in a ring that has an active key').choices([
        'imported',
        'present',
      ]),
    )
    .option(
      '--token-lifetime <duration>',
      'longest token lifetime of the old system',
      durationArgument,
    )
    .option('--leave <name>', 'accept the loss of a key that cannot come in', collected)
    .option('--reason <text>', 'recorded with events', proseArgument)
    .option(
      '--actor <name>',
      'who gives the order; recorded with events',
      proseArgument,
      systemUser(),
    )
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

/** Input of a preview; `session` is undefined if there is no database yet. */
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
    throw new Refused(
      'preview_only',
      {},
      '--apply writes now, so it cannot be used with --at, which is for previews. Leave one out.',
    )
  }
  await withScene(program, context, options, async ({ policies, now: today, session }) => {
    const now = options.at?.(today) ?? today
    assertNear(now, today)
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
 * Opens the stores. If there is no database, the import is first decided without one, and the
 * database is created only to write an import that was not refused.
 * @param work resolves to a function that prints the result
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

/** The key under the kid of --kid, because PEM files have no kid. */
function renamed(imported: Imported, kid: string | undefined): Imported {
  if (kid === undefined) return imported
  const [only, ...others] = imported.keys
  if (!only || others.length > 0) {
    throw new Refused(
      'kid_not_single',
      { keys: imported.keys.length },
      `The source has ${imported.keys.length} keys, but --kid is for one key. Choose a key with --alias, or a file with one key.`,
    )
  }
  assertKid(kid)
  return { ...imported, keys: [{ ...only, kid }] }
}

/**
 * Prints a refusal as one line that begins with its code, so that scripts can distinguish refusals.
 * Warnings are printed only if the command succeeds.
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
    const text = oneLine(withAdvice(error))
    throw new KeyturnError('told', `${error.code}: ${text}`)
  }
  for (const note of notes) context.warn(note)
}
