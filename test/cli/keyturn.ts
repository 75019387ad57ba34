import { spawn } from 'node:child_process'
import { cp } from 'node:fs/promises'
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

type EnvironmentSettings = Readonly<Record<string, string>>

/** The settings of a deployment in a folder, and what is in its stores. */
function deploymentIn(folder: string, settings: EnvironmentSettings) {
  const own = {
    KEYTURN_DATABASE__URL: `sqlite:${folder}/keyturn.db`,
    KEYTURN_SEAL__FILE: `${folder}/kek.jwks`,
    KEYTURN_LOG__LEVEL: 'silent',
    // The least allowed cost, because passwords of tests need not be safe.
    KEYTURN_PASSWORD__ARGON2: '{ memoryKiB: 7168, passes: 1, parallelism: 1 }',
    ...settings,
  }
  const config = oneIssuer(loadConfig({ env: own }))

  async function withStores<T>(work: (stores: IssuerStores) => Promise<T>): Promise<T> {
    const stores = (await openStores(config, systemClock)).of(config.issuer)
    try {
      return await work(stores)
    } finally {
      await stores.close()
    }
  }

  return {
    own,
    config,
    withStores,
    /** Makes the rings as a server would have whose first start was `age` seconds ago. */
    makeRings: (age: number) =>
      withStores(async (stores) => {
        const rings = createRings({ store: stores.keys, sealer: await stores.openSealer() })
        const planned = plan(NO_RINGS, rotationPolicies(config), systemClock.now() - age)
        for (const action of planned.actions) {
          if (action.type === 'create') await rings.apply(action, NO_RINGS)
        }
      }),
  }
}

/** Folders of deployments that were made in this process, to be copied. */
const made = new Map<string, Promise<string>>()

/**
 * A deployment of these settings after its first start, in a folder that nobody changes. Tests get copies of it,
 * because migrations and RSA keys take long.
 * @param age of its rings in seconds; undefined for a database without any
 */
function madeOnce(settings: EnvironmentSettings, age?: number): Promise<string> {
  const name = JSON.stringify([settings, age])
  const making =
    made.get(name) ??
    temporaryFolder().then(async ({ path }) => {
      const { withStores, makeRings } = deploymentIn(path, settings)
      await (age === undefined ? withStores(async () => {}) : makeRings(age))
      return path
    })
  made.set(name, making)
  return making
}

/** Settings of what is kept outside the folder of a deployment, so that a copy of the folder is not all of it. */
const OUTSIDE = /^KEYTURN_(DATABASE|SEAL|KEY_STORE|ROTATION__WITNESS)/

/** The command line over a folder of its own, with nothing of this process's configuration. */
export async function keyturnIn(settings: EnvironmentSettings = {}) {
  const folder = await temporaryFolder()
  const { own, config, withStores, makeRings } = deploymentIn(folder.path, settings)
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTURN_'))
  const env = { ...Object.fromEntries(inherited), NO_COLOR: '1', ...own }
  const isWhole = !Object.keys(settings).some((name) => OUTSIDE.test(name))
  // Nothing but the first start has happened.
  let isNew = isWhole

  const spawnOptions = { env, cwd: folder.path }
  const command = (args: readonly string[]) => [CLI, ...args]

  /** Runs a command in a process of its own, as people do. */
  async function spawned(args: readonly string[]): Promise<Answer> {
    isNew = false
    const child = spawn(process.execPath, command(args), spawnOptions)
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    child.stdin.end()
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { status, out, err }
  }

  /** Runs a command in this process, which is much faster; `input` is its standard input. */
  async function run(args: readonly string[], input = ''): Promise<Answer> {
    isNew = false
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

  // A first start has made the database; commands never do.
  if (isWhole) await cp(await madeOnce(settings), folder.path, { recursive: true })
  else if (!settings.KEYTURN_DATABASE__URL) await withStores(async () => {})
  return {
    path: folder.path,
    config,
    command,
    spawnOptions,
    spawned,
    run,
    withStores: <T>(work: (stores: IssuerStores) => Promise<T>) => {
      isNew = false
      return withStores(work)
    },
    /** What a command answers in JSON; it must have succeeded. */
    async json<T = Row[]>(args: readonly string[], input = ''): Promise<T> {
      const answer = await run([...args, '--json'], input)
      if (answer.status !== 0) throw new Error(`${args.join(' ')}: ${answer.err}`)
      return JSON.parse(answer.out)
    },
    /** Makes the rings as a server would have whose first start was `age` seconds ago. */
    makeRings: async (age: number) => {
      if (!isNew) return makeRings(age)
      isNew = false
      await cp(await madeOnce(settings, age), folder.path, { recursive: true })
    },
    /** Edits the record of a key, as somebody with access to the database might. */
    editKey: async (kid: string, changes: Partial<SerializedKey>) => {
      isNew = false
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
