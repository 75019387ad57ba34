import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { oneIssuer } from '../../lab/one-issuer.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { runCommand } from '../../src/cli/program.ts'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import { openDatabase } from '../../src/database/database.ts'
import { keySchema } from '../../src/database/tables.ts'
import type { SerializedKey } from '../../src/ring/key-store.ts'
import { NO_RINGS } from '../../src/ring/loaded-rings.ts'
import { plan } from '../../src/ring/plan.ts'
import { createRings } from '../../src/ring/rings.ts'
import { type IssuerStores, openStores } from '../../src/server/stores.ts'

export const DAY = 86_400

export interface Answer {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

export interface Row {
  readonly ring: string
  readonly generation: number
  readonly kid: string
  readonly phase: string
  readonly activatesAt: string
  readonly [name: string]: unknown
}

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** The command line over a folder of its own, with nothing of this process's configuration. */
export async function keyturnIn(settings: Readonly<Record<string, string>> = {}) {
  const folder = await temporaryFolder()
  const own = {
    KEYTURN_DATABASE__URL: `sqlite:${folder.path}/keyturn.db`,
    KEYTURN_SEAL__FILE: `${folder.path}/kek.jwks`,
    KEYTURN_LOG__LEVEL: 'silent',
    ...settings,
  }
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTURN_'))
  const env = { ...Object.fromEntries(inherited), NO_COLOR: '1', ...own }
  const config = oneIssuer(loadConfig({ env: own }))

  const spawnOptions = { env, cwd: folder.path }
  const command = (args: readonly string[]) => [CLI, ...args]

  /** Runs a command in a process of its own, as people do. */
  async function spawned(args: readonly string[]): Promise<Answer> {
    const child = spawn(process.execPath, command(args), spawnOptions)
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    child.stdin.end()
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { status, out, err }
  }

  /** Runs a command in this process, which is much faster; `input` is its standard input. */
  async function run(args: readonly string[], input = ''): Promise<Answer> {
    const [out, err]: [string[], string[]] = [[], []]
    const status = await runCommand(args, {
      env,
      clock: systemClock,
      stdin: Readable.from([input]),
      colors: false,
      print: (line) => out.push(`${line}\n`),
      warn: (line) => err.push(`${line}\n`),
    })
    return { status, out: out.join(''), err: err.join('') }
  }

  async function withStores<T>(work: (stores: IssuerStores) => Promise<T>): Promise<T> {
    const stores = (await openStores(config, systemClock)).of(config.issuer)
    try {
      return await work(stores)
    } finally {
      await stores.close()
    }
  }

  // A first start has made the database; commands never do.
  if (!settings.KEYTURN_DATABASE__URL) await withStores(async () => {})
  return {
    path: folder.path,
    config,
    command,
    spawnOptions,
    spawned,
    run,
    withStores,
    /** What a command answers in JSON; it must have succeeded. */
    async json<T = Row[]>(args: readonly string[], input = ''): Promise<T> {
      const answer = await run([...args, '--json'], input)
      if (answer.status !== 0) throw new Error(`${args.join(' ')}: ${answer.err}`)
      return JSON.parse(answer.out)
    },
    /** Makes the rings as a server would have whose first start was `age` seconds ago. */
    makeRings: (age: number) =>
      withStores(async (stores) => {
        const rings = createRings({ store: stores.keys, sealer: await stores.openSealer() })
        const planned = plan(NO_RINGS, rotationPolicies(config), systemClock.now() - age)
        for (const action of planned.actions) {
          if (action.type === 'create') await rings.apply(action, NO_RINGS)
        }
      }),
    /** Edits the record of a key, as somebody with access to the database might. */
    editKey: async (kid: string, changes: Partial<SerializedKey>) => {
      const dataSource = await openDatabase(config.database)
      await dataSource.getRepository(keySchema).update({ id: kid }, changes)
      await dataSource.destroy()
    },
    [Symbol.asyncDispose]: folder.remove,
  }
}

/** The rows of one ring in a few words each: `1 active`, `2 pre-active`. */
export function phasesOf(rows: readonly Row[], ring = 'sig/ES256'): readonly string[] {
  return rows
    .filter((row) => row.ring === ring)
    .map(({ generation, phase }) => `${generation} ${phase}`)
}

/** The kid of a generation. */
export function kidOf(rows: readonly Row[], generation: number, ring = 'sig/ES256'): string {
  const row = rows.find((each) => each.ring === ring && each.generation === generation)
  if (!row) throw new Error(`ring ${ring} has no generation ${generation}`)
  return row.kid
}
