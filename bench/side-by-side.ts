import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Child, startChild } from './child.ts'
import { type Round, runRound, WARM_UP } from './compare.ts'
import { fetches } from './documents.ts'
import type { Stores } from './figure.ts'
import type { Prepare } from './load.ts'
import type { writeConfig } from './setting.ts'
import { median } from './statistics.ts'
import type { createStores } from './stores.ts'
import {
  clientCredentialsEs256,
  clientCredentialsOpaque,
  clientCredentialsRs256,
  introspection,
  refresh,
  signInComplete,
  signInWithSession,
} from './tokens.ts'

/**
 * Servers of several checkouts, running at the same time and put under load in turns. The same
 * server of two runs differs more than two versions do, by what the machine does meanwhile and by
 * what was compiled in which order, so each run starts new ones.
 */

interface Operation {
  readonly prepare: Prepare
  readonly stores: readonly Stores[]
}

/** By the names of `npm run bench`. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  jwks: { prepare: fetches('/jwks'), stores: ['SQLite'] },
  discovery: { prepare: fetches('/.well-known/openid-configuration'), stores: ['SQLite'] },
  rs256: { prepare: clientCredentialsRs256.prepare, stores: ['SQLite'] },
  es256: { prepare: clientCredentialsEs256.prepare, stores: ['SQLite'] },
  opaque: {
    prepare: clientCredentialsOpaque.prepare,
    stores: ['SQLite', 'PostgreSQL', 'Redis'],
  },
  introspection: { prepare: introspection.prepare, stores: ['SQLite', 'PostgreSQL', 'Redis'] },
  refresh: { prepare: refresh.prepare, stores: ['SQLite', 'Redis'] },
  session: { prepare: signInWithSession.prepare, stores: ['SQLite'] },
  'sign-in': { prepare: signInComplete.prepare, stores: ['SQLite', 'Redis'] },
}

/** Milliseconds of load. */
const ROUND = 600
/** Rounds of each server in a run. */
const ROUNDS = 5

/** Figures of an operation in one run: medians of its rounds. */
export interface Measured {
  readonly operation: string
  readonly stores: Stores
  /** Operations per second of this checkout, and of each other one. */
  readonly rate: number
  readonly others: readonly Beside[]
}

export interface Beside {
  readonly rate: number
  /** Ratio of this checkout's rate to the other's; the next one is of processor time. */
  readonly byRate: number
  readonly byProcessor: number
}

/**
 * Measures some operations once.
 * @param run which run this is, from 0: in each another checkout comes first
 * @param others folders of other checkouts, with their packages installed
 */
export async function measureBeside(
  run: number,
  others: readonly string[],
  operations: readonly string[],
  say: (text: string) => void,
): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const stores of ['SQLite', 'PostgreSQL', 'Redis'] as const) {
    const names = operations.filter((name) => OPERATIONS[name]?.stores.includes(stores))
    if (names.length === 0) continue
    await using stack = new AsyncDisposableStack()
    const checkouts = ['.', ...others]
    const started = new Map<string, Child>()
    for (const checkout of rotate(checkouts, run)) {
      started.set(checkout, await startOf(checkout, stores, stack))
    }
    // This checkout is first.
    const servers = checkouts.flatMap((checkout) => started.get(checkout) ?? [])
    for (const [index, operation] of names.entries()) {
      say(`${operation}, ${stores} ...`)
      // The names are those of OPERATIONS.
      const { prepare } = OPERATIONS[operation] as Operation
      measured.push({ operation, stores, ...(await inTurns(servers, prepare, run + index)) })
    }
  }
  return measured
}

/** @param shift which server comes first; the one that is warmed up first gets less of it. */
async function inTurns(servers: readonly Child[], prepare: Prepare, shift: number) {
  const order = rotate(servers, shift)
  for (const there of [order, order.toReversed()]) {
    for (const server of there) await runRound(server, prepare, WARM_UP / 2)
  }
  const rounds = new Map<Child, Round[]>(servers.map((server) => [server, []]))
  for (let i = 0; i < ROUNDS; i += 1) {
    // There and back, so that no server always follows the same one.
    for (const server of i % 2 === 0 ? order : order.toReversed()) {
      rounds.get(server)?.push(await runRound(server, prepare, ROUND))
    }
  }
  const [ours = [], ...theirs] = rounds.values()
  return {
    rate: median(ours.map(({ rate }) => rate)),
    others: theirs.map((other) => ({
      rate: median(other.map(({ rate }) => rate)),
      byRate: median(other.map(({ rate }, i) => (ours[i]?.rate ?? 0) / rate)),
      byProcessor: median(other.map(({ cost }, i) => cost.process / (ours[i]?.cost.process ?? 0))),
    })),
  }
}

function rotate<T>(values: readonly T[], by: number): readonly T[] {
  const start = by % values.length
  return [...values.slice(start), ...values.slice(0, start)]
}

/** Starts the server of a checkout with that checkout's own code. */
async function startOf(
  checkout: string,
  stores: Stores,
  stack: AsyncDisposableStack,
): Promise<Child> {
  const of = (file: string) => join(resolve(checkout), 'bench', file)
  const load = (file: string) => import(pathToFileURL(of(file)).href)
  // Other versions of these files have the same functions.
  const [child, setting, ownStores] = (await Promise.all(
    ['child.ts', 'setting.ts', 'stores.ts'].map(load),
  )) as [
    { startChild: typeof startChild },
    { writeConfig: typeof writeConfig },
    { createStores: typeof createStores },
  ]
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-bench-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const { settings, drop } = await ownStores.createStores(stores)
  stack.defer(drop)
  const keyStore = { type: 'module', module: of('servers/key-store.ts') }
  const config = setting.writeConfig(folder, { keyStore, ...settings })
  const server = await child.startChild('keyturn.ts', { folder, args: [config, '0'] })
  stack.defer(server.stop)
  return server
}
