import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run as runProgram } from '../../lab/programs.ts'
import { VECTORS, vector } from '../../lab/vectors.ts'
import { runCommand } from '../../src/cli/program.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { type Answer, keyturnIn, type Row } from './keyturn.ts'

/** Deployments in which the commands of docs/migrate run, and the old issuer beside them. */

export interface MigrationPage {
  /** When the commands run, because the keys of the old systems have their dates. */
  readonly now: string
  /** Files of the old systems, by the names that the page gives them. */
  readonly files: Readonly<Record<string, string>>
  readonly texts?: Readonly<Record<string, string>>
  /** Rings of the deployment; without, those of the default configuration. */
  readonly rings?: string
  /** Sections that tell of a deployment of their own. */
  readonly apart?: readonly string[]
  /** Commands that stop at keys without a ring until `--leave` names them, as the page says. */
  readonly stopping?: readonly string[]
  /** Commands offered in the place of the one before, and what `keys list` shows then. */
  readonly instead?: Readonly<Record<string, readonly string[]>>
  /** True if a server has been started before the commands. */
  readonly isStarted?: true
  /** By section, what `keys list` shows at its end. */
  readonly listed: Readonly<Record<string, readonly string[]>>
}

/** A server with files of an old system, by path. */
export async function oldIssuer(files: Readonly<Record<string, string>>) {
  const server = createServer(({ url = '' }, response) => {
    const file = files[url]
    response.writeHead(file ? 200 : 404).end(file && vector(file))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  return { port, [Symbol.asyncDispose]: close }
}

/**
 * A folder with the files of a page.
 * @param settings configuration files of the page; commands find `keyturn.yaml` by themselves
 */
export async function deploymentFor(
  page: MigrationPage,
  settings: readonly { readonly file: string; readonly text: string }[],
) {
  const cli = await keyturnIn({ KEYTURN_DATABASE__URL: 'sqlite:./data/keyturn.db' })
  const clock = createFakeClock(Date.parse(page.now) / 1000)
  for (const [file, source] of Object.entries(page.files)) {
    await cp(join(VECTORS, source), join(cli.path, file), { recursive: true })
  }
  const texts = Object.entries(page.texts ?? {}).map(([file, text]) => ({ file, text }))
  for (const { file, text } of [...texts, ...settings]) await writeFile(join(cli.path, file), text)
  const env = {
    ...cli.spawnOptions.env,
    // The page's own configuration says where these are, or else the default one.
    KEYTURN_DATABASE__URL: undefined,
    KEYTURN_SEAL__FILE: undefined,
    KEYTURN_CONFIG: settings.find(({ file }) => file === 'keyturn.yaml')?.file,
    KEYTURN_ROTATION__RINGS: page.rings,
  }

  /** Runs a command in this process, with paths that are relative to the folder. */
  async function run(args: readonly string[]): Promise<Answer> {
    const [out, err]: [string[], string[]] = [[], []]
    const before = process.cwd()
    process.chdir(cli.path)
    try {
      const status = await runCommand(args, {
        env,
        clock,
        stdin: Readable.from(['']),
        colors: false,
        print: (line) => out.push(`${line}\n`),
        warn: (line) => err.push(`${line}\n`),
      })
      return { status, out: out.join(''), err: err.join('') }
    } finally {
      process.chdir(before)
    }
  }

  if (page.isStarted) assert.equal((await run(['db', 'migrate'])).status, 0)
  return {
    run,
    shell: (command: string) => runProgram('sh', ['-c', command], { cwd: cli.path }),
    /** Each key with its phase, as `keys list` shows them. */
    listed: async (): Promise<readonly string[]> => {
      const { out, err } = await run(['keys', 'list', '--json'])
      assert.equal(err, '')
      return (JSON.parse(out) as Row[]).map(({ kid, phase }) => `${kid} ${phase}`)
    },
    [Symbol.asyncDispose]: cli[Symbol.asyncDispose],
  }
}
