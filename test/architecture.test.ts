import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { describe, it } from 'node:test'
import FLOORS from '../lab/floors.json' with { type: 'json' }

/** Rules of ARCHITECTURE.md that import lines and single words can hold. */

const SRC = join(import.meta.dirname, '../src')
const files = (await Array.fromAsync(glob('**/*.ts', { cwd: SRC }))).map((name) => {
  const text = readFileSync(join(SRC, name), 'utf8')
  const imports = [
    ...text.matchAll(/^(?:import|export) [^;'"]*?from '([^']+)'|^import '([^']+)'/gm),
  ]
    .map((match) => match[1] ?? match[2] ?? '')
    .map((from) => (from.startsWith('.') ? relative(SRC, join(SRC, dirname(name), from)) : from))
  return { name, text, imports }
})

const PURE = [
  ...[
    'key',
    'key-store',
    'policy',
    'lifecycle',
    'action',
    'plan',
    'orders',
    'known',
    'forecast',
    'lost',
  ],
  ...['destruction', 'revocation', 'bounds', 'manual'],
].map((n) => `ring/${n}.ts`)

function importsOf(select: (name: string) => boolean) {
  return files
    .filter(({ name }) => select(name))
    .flatMap(({ name, imports }) => imports.map((from) => ({ name, from })))
}

/** Text that is no comment. */
function withoutComments(text: string): string {
  return text.replace(/\/\*.*?\*\//gs, '').replace(/^\s*\/\/.*$/gm, '')
}

describe('the source', () => {
  it('is found', () => assert.ok(files.length > 50))

  it('has the rooms that ARCHITECTURE.md draws, floor by floor', () => {
    const rooms = new Set(files.flatMap(({ name }) => /^([^/]+)\//.exec(name)?.[1] ?? []))
    assert.deepEqual([...rooms].sort(), FLOORS.toSorted())
    const text = readFileSync(join(SRC, '../ARCHITECTURE.md'), 'utf8')
    const picture = /^```\ncli .*?^```/ms.exec(text)?.[0] ?? ''
    const drawn = [...picture.matchAll(/^([a-z-]+) {2,}/gm)].map((match) => match[1])
    assert.deepEqual(drawn.reverse(), FLOORS)
  })

  it('keeps the core pure: it imports itself, the errors and names of times', () => {
    const allowed = [...PURE, 'errors.ts', 'clock.ts', 'values/duration-text.ts']
    const foreign = importsOf((name) => PURE.includes(name)).filter(
      ({ from }) => !allowed.includes(from),
    )
    assert.deepEqual(foreign, [])
  })

  it('keeps models of relying parties and the simulator pure: it imports itself and the core', () => {
    const foreign = importsOf((name) => name.startsWith('relying-parties/')).filter(
      ({ from }) => ![...PURE, 'errors.ts'].includes(from) && !from.startsWith('relying-parties/'),
    )
    assert.deepEqual(foreign, [])
  })

  it('keeps ring/ a library: it imports itself, the ground, jose, zod and Node', () => {
    const ground = [
      ...[
        'clock.ts',
        'errors.ts',
        'file-failure.ts',
        'file-lock.ts',
        'private-folder.ts',
        'whole-file.ts',
        'situations.ts',
      ],
      'values/duration-text.ts',
    ]
    const foreign = importsOf((name) => name.startsWith('ring/')).filter(
      ({ from }) => !/^(ring\/|node:|jose$|zod$)/.test(from) && !ground.includes(from),
    )
    assert.deepEqual(foreign, [])
  })

  it('keeps readers of exports pure: bytes in, values out', () => {
    const foreign = importsOf((name) => name.startsWith('import/')).filter(
      ({ from }) =>
        !from.startsWith('import/') &&
        ![
          'errors.ts',
          'values/rfc3339.ts',
          'values/ticks.ts',
          'ring/algorithms.ts',
          'ring/key.ts',
        ].includes(from) &&
        ![
          'node:crypto',
          'jose',
          'zod',
          'node-forge',
          'csv-parse/sync',
          'better-sqlite3-napi',
        ].includes(from),
    )
    assert.deepEqual(foreign, [])
  })

  it('points inwards: only server/ and the CLI know everyone', () => {
    const composed = importsOf((name) => !/^cli\.ts$|^(server|cli)\//.test(name)).filter(
      ({ from }) =>
        /^cli\.ts$|^(server|cli)\//.test(from) &&
        !/^server\/(issuer-metrics|readiness)\.ts$/.test(from),
    )
    assert.deepEqual(composed, [])
    const oidcKnowsHttp = importsOf((name) => name.startsWith('oidc/')).filter(({ from }) =>
      from.startsWith('http/'),
    )
    assert.deepEqual(oidcKnowsHttp, [])
    const storeKnowsHttp = importsOf((name) => /^(database|redis|artifacts)\//.test(name)).filter(
      ({ from }) => /^(http|oidc)\//.test(from),
    )
    assert.deepEqual(storeKnowsHttp, [])
  })

  it('names commands and their options in cli/ alone, which has the words for those who type them', () => {
    const core = files.filter(({ name }) => !/^cli(\.ts$|\/)/.test(name))
    const command =
      /keyturn (accounts|backup|clients|config|db|issuers|keys|nodes|restore|serve|simulate)\b/
    // Names of CSS in a style sheet, and of options of other programs in a file for them, are none of ours.
    const option = /(?<![\w-])--[a-z][a-z-]+/
    const named = core
      .filter(({ name }) => name !== 'http/accent.ts' && name !== 'witness/file-witness.ts')
      .flatMap(({ name, text }) =>
        withoutComments(text)
          .split('\n')
          // How another system exports its keys is told as its own manual tells it.
          .filter((line) => !line.includes('kc.sh export'))
          .filter((line) => command.test(line) || option.test(line))
          .map((line) => `${name}: ${line.trim()}`),
      )
    assert.deepEqual(named, [])
  })

  it('reads the clock in one file', () => {
    const readers = files.filter(({ text }) =>
      /Date\.now\(|new Date\(\)|performance\.now\(/.test(text),
    )
    assert.deepEqual(
      readers.map(({ name }) => name),
      ['clock.ts'],
    )
  })

  it('reads the environment in the CLI only', () => {
    const readers = files.filter(({ text }) =>
      /process\.env\b/.test(text.replace(/^ \*.*$|`process\.env`/gm, '')),
    )
    assert.deepEqual(
      readers.map(({ name }) => name),
      ['cli.ts'],
    )
  })

  it('has named exports only and no barrels', () => {
    for (const { name, text } of files) {
      assert.doesNotMatch(text, /^export default/m, name)
      assert.doesNotMatch(text, /^export \* from/m, name)
    }
  })
})
