import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { endWithNpm } from '../src/cli/npm-parent.ts'
import { type Child, startChild } from './child.ts'
import { type Comparison, compare } from './compare.ts'
import { dataProtection } from './data-protection.ts'
import { measureDocument } from './documents.ts'
import type { Bench, Figure, Measure, Stores } from './figure.ts'
import { imports } from './imports.ts'
import { renderTable, toJson } from './report.ts'
import { writeConfig } from './setting.ts'
import { sharedSocket } from './shared-socket.ts'
import { rawSigning } from './signing.ts'
import { starts } from './start.ts'
import { createStores } from './stores.ts'
import { latencyDuringSwaps, swapTime } from './swaps.ts'
import {
  clientCredentialsEs256,
  clientCredentialsOpaque,
  clientCredentialsRs256,
  introspection,
  passwordCheck,
  refresh,
  signInComplete,
  signInWithSession,
} from './tokens.ts'

/**
 * `npm run bench`: how fast Keyturn is, each figure beside bare koa or plain oidc-provider in the
 * same run. Each measuring file describes its comparison. Every server under test has a process of
 * its own; the load comes from this process.
 */

const measures: Readonly<Record<string, Measure>> = {
  jwks: (bench) => measureDocument(bench, { name: 'JWKS', path: '/jwks' }),
  discovery: (bench) =>
    measureDocument(bench, { name: 'discovery', path: '/.well-known/openid-configuration' }),
  rs256: comparing(clientCredentialsRs256),
  es256: comparing(clientCredentialsEs256),
  opaque: onStores(clientCredentialsOpaque, { SQLite: 0.7, PostgreSQL: 0.8, Redis: 0.9 }),
  introspection: onStores(introspection, { SQLite: 0.7, PostgreSQL: 0.6, Redis: 0.9 }),
  refresh: onStores(refresh, { SQLite: 0.7, Redis: 1.1 }),
  session: comparing(signInWithSession),
  'sign-in': onStores(signInComplete, { SQLite: 0.7, Redis: 1 }),
  signing: (bench) => rawSigning(bench, ['SQLite', 'PostgreSQL', 'Redis']),
  password: passwordCheck,
  'swap-latency': latencyDuringSwaps,
  'swap-time': swapTime,
  start: starts,
  'shared-socket': sharedSocket,
  'data-protection': dataProtection,
  import: imports,
}

interface Options {
  readonly quick?: boolean
  readonly json?: boolean
  readonly only?: readonly string[]
}

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('bench')
    .description('How fast Keyturn is, beside bare koa and plain oidc-provider')
    .option('--quick', 'about a minute instead of five')
    .option('--json', 'for programs')
    .option('--only <names...>', `some of: ${Object.keys(measures).join(', ')}`)
    .parse(argv, { from: 'user' })
  const { quick = false, json = false, only } = program.opts<Options>()
  const unknown = only?.filter((name) => !Object.hasOwn(measures, name)) ?? []
  if (unknown.length > 0) program.error(`no such figure: ${unknown.join(', ')}`)

  await using bench = createBench(quick)
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(measures)) {
    if (only && !only.includes(name)) continue
    figures.push(...(await measure(bench)))
  }
  process.stdout.write(`${json ? toJson(figures) : renderTable(figures)}\n`)
}

/** Measures on several stores, each with the least ratio to reach. */
function onStores(
  comparison: Comparison,
  aims: Readonly<Partial<Record<Stores, number>>>,
): Measure {
  return async (bench) => {
    const figures: Figure[] = []
    for (const [stores, value] of Object.entries(aims) as [Stores, number][]) {
      const aim = { bound: 'least', value } as const
      figures.push(await compare(bench, { ...comparison, stores, aim }))
    }
    return figures
  }
}

function comparing(comparison: Comparison): Measure {
  return async (bench) => [await compare(bench, comparison)]
}

function createBench(isQuick: boolean): Bench & AsyncDisposable {
  const folders: string[] = []
  const servers = new Map<string, Promise<Child>>()
  const drops: (() => Promise<void>)[] = []

  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), 'keyturn-bench-'))
    folders.push(path)
    return path
  }
  const removeFolders = () => {
    for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true })
  }
  process.once('exit', removeFolders)

  const start = async (
    kind: 'keyturn' | 'plain' | 'koa',
    options: { clients?: number; stores?: Stores } = {},
  ) => {
    const path = folder()
    const keyStore = { type: 'module', module: join(import.meta.dirname, 'servers/key-store.ts') }
    const { clients, stores = 'SQLite' } = options
    const own = await createStores(stores)
    drops.push(own.drop)
    const config = writeConfig(path, {
      ...(kind === 'keyturn' ? { keyStore } : {}),
      ...(clients === undefined ? {} : { clients: [] }),
      ...own.settings,
    })
    return startChild(`${kind}.ts`, { folder: path, args: [config, String(clients ?? 0)] })
  }

  return {
    isQuick,
    folder,
    say: (text) => process.stderr.write(`${text}\n`),
    server: (kind, stores = 'SQLite') => {
      const name = `${kind} ${stores}`
      const known = servers.get(name) ?? start(kind, { stores })
      servers.set(name, known)
      return known
    },
    freshKeyturn: async (options) => {
      const child = await start('keyturn', options)
      return { ...child, [Symbol.asyncDispose]: child.stop }
    },
    [Symbol.asyncDispose]: async () => {
      const started = await Promise.allSettled(servers.values())
      for (const result of started) {
        if (result.status === 'fulfilled') await result.value.stop()
      }
      for (const drop of drops) await drop()
      removeFolders()
    },
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
endWithNpm(process.env)
await main(process.argv.slice(2))
