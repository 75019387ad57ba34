import { join } from 'node:path'
import type { Command } from 'commander'
import { ImportRefused, NotFound, Refused } from '../errors.ts'
import { DUENDE_DEFAULTS } from '../import/duende-life.ts'
import { writeDuendeFile } from '../import/duende-write.ts'
import { duendeLives } from '../moving/export-duende.ts'
import { makePrivateFolder } from '../private-folder.ts'
import { isPublished, ringStates } from '../ring/lifecycle.ts'
import { openRings } from '../ring/operate.ts'
import { nameProblem } from '../values/text.ts'
import { createFile } from '../whole-file.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { ringWork, tellingFaults } from './rings.ts'
import { type Session, withSession } from './session.ts'
import { positiveDurationArgument, textArgument } from './words.ts'

/** The command `keys export`, for going back to another system. */

interface ExportOptions extends JsonOption {
  readonly to: string
  readonly ring?: string
  readonly keyRing?: string
  readonly application?: string
  readonly certificate?: string
  readonly passwordFile?: string
  readonly clear?: true
  readonly rotation?: number
  readonly retention?: number
}

export function addKeyExport(keys: Command, program: Command, context: Context): void {
  keys
    .command('export')
    .description('write the published keys, private halves included, for another system')
    .command('duende')
    .description('write key files of Duende IdentityServer, for going back to it')
    .requiredOption('--to <dir>', 'directory of the key files (KeyPath); created if missing')
    .option('--ring <ring>', 'only keys of one ring', textArgument(nameProblem))
    .option('--key-ring <dir|url>', 'the Data Protection key ring that protects them')
    .option('--application <name>', 'the application name of Data Protection')
    .option('--certificate <file>', 'certificate of the key ring; its password: --password-file')
    .option('--password-file <file>', 'password of the certificate')
    .option('--clear', 'private keys in clear, without a key ring, as with DataProtectKeys off')
    .option('--rotation <duration>', 'RotationInterval of IdentityServer', positiveDurationArgument)
    .option(
      '--retention <duration>',
      'RetentionDuration of IdentityServer',
      positiveDurationArgument,
    )
    .option(...JSON_OPTION)
    .action((options: ExportOptions) =>
      withSession(program, context, (session) => exportToDuende(options, session)),
    )
}

async function exportToDuende(options: ExportOptions, session: Session): Promise<void> {
  const { policies, now } = session
  if (options.keyRing === undefined && !options.clear) {
    throw new Refused(
      'export_unprotected',
      {},
      'Private keys would be written in clear, because no key ring is named to protect them.',
    )
  }
  const times = { ...DUENDE_DEFAULTS, ...given(options) }
  const work = ringWork(session)
  const loaded = await tellingFaults(openRings(work), session)
  const rings = policies.rings.filter(
    ({ ring, published }) => published && (options.ring ?? ring) === ring,
  )
  if (rings.length === 0) {
    const configured = policies.rings.map(({ ring }) => ring)
    const message = `There is no ring ${options.ring}. Configured rings: ${configured.join(', ')}.`
    throw new NotFound('ring_not_found', { ring: options.ring ?? '', configured }, message)
  }
  const sealer = await work.openSealer()
  const { openProtection } = await import('./import-source.ts')
  const protection = await openProtection({ ...options, now })
  const written: string[] = []
  const left: { name: string; code: string; reason: string }[] = []
  try {
    await makePrivateFolder(options.to)
    for (const policy of rings) {
      const states = ringStates(loaded, policy, now).filter(isPublished)
      const lives = duendeLives(
        states.filter(({ key }) => key.hasPrivateHalf),
        policy,
        times,
      )
      for (const { key } of states) {
        const { kid, algorithm } = key
        const life = lives.get(kid)
        const record = loaded.records.keys.find(({ id }) => id === kid)
        if (!life || !record) {
          const reason =
            'Its private half is erased. Publish its public half in IdentityServer by AddValidationKey.'
          left.push({ name: kid, code: 'key_public_only', reason })
          continue
        }
        const jwk = await sealer.reveal(record)
        const file = await writeDuendeFile(
          { jwk, kid, algorithm, ...life },
          protection?.protect,
        ).catch(ifRefused)
        if (file instanceof ImportRefused) {
          left.push({ name: kid, code: file.code, reason: file.message })
          continue
        }
        const path = join(options.to, file.name)
        if (!(await createFile(path, Buffer.from(file.bytes).toString('utf8')))) {
          throw new Refused(
            'file_taken',
            { path },
            `The file ${path} exists already and is not replaced. Name another directory, or remove the file.`,
          )
        }
        written.push(path)
      }
    }
  } finally {
    await protection?.close()
  }
  if (options.json) return printJson(session, { written, left })
  for (const path of written) session.print(`Written  ${path}`)
  for (const { name, code, reason } of left) session.print(`Left     ${name} (${code}): ${reason}`)
}

function given({ rotation, retention }: ExportOptions) {
  return {
    ...(rotation !== undefined && { rotation }),
    ...(retention !== undefined && { retention }),
  }
}

function ifRefused(error: unknown): ImportRefused {
  if (error instanceof ImportRefused) return error
  throw error
}
