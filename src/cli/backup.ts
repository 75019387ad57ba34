import { resolve } from 'node:path'
import type { Command } from 'commander'
import { witnessPlace } from '../config/witness.ts'
import { engineOf, isEmbedded } from '../connection/database-url.ts'
import { ringNameOf } from '../data-protection/kept-ring.ts'
import { Refused } from '../errors.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  loadCommandConfig,
  printJson,
} from './context.ts'

interface BackupOptions extends JsonOption {
  /** commander's name of --no-kek. */
  readonly kek: boolean
}

export function fillBackup(command: Command, program: Command, context: Context): void {
  command
    .argument('<folder>', 'new or empty')
    .option('--no-kek', 'without the key-encryption keys, which then are backed up elsewhere')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      '\nFor SQLite: the database, a directory of keys where there is one, and the file of key-encryption keys. A\n' +
        'database server has tools of its own. Never back up or restore the witness (rotation.witness). Key rings of\n' +
        'ASP.NET Core (dataProtection.rings) are kept outside: back them up where they are.',
    )
    .action((folder: string, options: BackupOptions) => backup(folder, options, program, context))
}

async function backup(
  folder: string,
  options: BackupOptions,
  program: Command,
  context: Context,
): Promise<void> {
  const config = await loadCommandConfig(program, context)
  const { database, keyStore, seal } = config
  if (!isEmbedded(database.url)) {
    const tool =
      engineOf(database.url) === 'mysql' ? 'mariadb-dump --single-transaction' : 'pg_dump'
    throw new Refused(
      'backup_elsewhere',
      { engine: engineOf(database.url) },
      `The database is on a server, which has a tool of its own: ${tool}. Back up the key-encryption ` +
        'keys (seal.*) apart from it. docs/operate.md has the commands.',
    )
  }
  const [{ assertDatabase }, { writeBackup }, { sqlitePath }, { witnessFile }] = await Promise.all([
    import('../server/assert-database.ts'),
    import('../database/backup.ts'),
    import('../database/database.ts'),
    import('../server/open-witness.ts'),
  ])
  await assertDatabase(config)
  const isKekInFile = seal.protector === 'file'
  const written = await writeBackup(resolve(folder), {
    database: sqlitePath(database.url),
    keys: keyStore.type === 'file' ? resolve(keyStore.path) : undefined,
    kek: isKekInFile && options.kek ? resolve(seal.file) : undefined,
  })
  const withKek = isKekInFile && options.kek
  if (options.json) return printJson(context, { written, withKek })
  for (const path of written) context.print(`Written  ${path}`)
  context.print(
    withKek
      ? 'Whoever has this folder can sign as the issuer. Keep it as you keep the key-encryption key.'
      : 'No key opens without the key-encryption keys, which are not in it: back them up elsewhere.',
  )
  const place = witnessPlace(config)
  if (place.type === 'file') {
    const paths = config.issuers.map(({ issuer }) => witnessFile(issuer, place.path, config))
    context.print(`Leave out ${paths.join(', ')}: never to be restored.`)
  }
  const { rings } = config.dataProtection
  if (rings.length > 0) {
    context.print(
      `Not in it: ${rings.map(ringNameOf).join(', ')}. Back up each where it is kept; its certificates, too.`,
    )
  }
}
