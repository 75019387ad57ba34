import { execFileSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../lab/free-port.ts'
import { temporaryFolder } from '../lab/temporary.ts'

/**
 * Packs Keyturn, installs the package into an empty folder as somebody would, type-checks the examples
 * there, and runs each (`npm run examples`). Ends with 1 where anything fails.
 */

const ROOT = join(import.meta.dirname, '..')
const EXAMPLES = ['oidc-provider', 'own-tokens', 'express', 'own-key-store']
/** `before.ts` and `after.ts` may differ in so many lines: the price of rotation for an application. */
const CHANGED_LINES_MAX = 15
/** Packages beside ours that a service may load which only signs. */
const LOADED_PACKAGES_MAX = 5

await using temporary = await temporaryFolder()
const folder = join(temporary.path, 'examples')
mkdirSync(folder)

// Without what was built before, so that packing has to build.
rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
const packed = run('npm', ['pack', '--silent', '--pack-destination', temporary.path], ROOT).trim()

// Without this program, which needs the repository around it.
const isExample = (path: string) => path !== import.meta.filename
cpSync(import.meta.dirname, folder, { recursive: true, filter: isExample })
const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
manifest.dependencies.keyturn = `file:${join(temporary.path, packed)}`
writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], folder)

const drivers = globSync('node_modules/**/better-sqlite3*/package.json', { cwd: folder })
console.log(`installed ${run('du', ['-sh', 'node_modules'], folder).split('\t')[0]}`)
demand(drivers.length === 1, `one better-sqlite3 is installed, found ${drivers.join(', ')}`)

node([join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder], folder)
console.log('the examples type-check against the package')

for (const example of EXAMPLES) {
  const place = join(folder, example)
  const output = node(['check.ts'], place, { PORT: String(await freePort()) })
  console.log(`${example}: ${output.trim().split('\n').at(-1)}`)
}

const changed = changedLines('before.ts', 'after.ts')
demand(changed <= CHANGED_LINES_MAX, `rotation takes ${changed} changed lines`)
const loaded = loadedPackages('keyturn/ring')
demand(loaded.length <= LOADED_PACKAGES_MAX, `keyturn/ring loads ${loaded.join(', ')}`)

/** Lines of the new program that the old one has not. */
function changedLines(before: string, after: string): number {
  const read = (name: string) =>
    readFileSync(join(folder, 'oidc-provider', name), 'utf8').split('\n')
  const known = read(before)
  return read(after).filter((line) => !known.includes(line)).length
}

/** Packages whose files are loaded with an entry of Keyturn, beside Keyturn. */
function loadedPackages(entry: string): readonly string[] {
  const program = `
    import { registerHooks } from 'node:module'
    const names = new Set()
    registerHooks({
      resolve: (specifier, context, next) => {
        const found = next(specifier, context)
        const name = /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(found.url)?.[1]
        if (name) names.add(name)
        return found
      },
    })
    await import('${entry}')
    console.log(JSON.stringify([...names].filter((name) => name !== 'keyturn')))`
  return JSON.parse(node(['--input-type=module', '--eval', program], folder))
}

function demand(isSo: boolean, what: string): void {
  console.log(what)
  if (!isSo) process.exitCode = 1
}

function node(args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) {
  return run(process.execPath, args, cwd, env)
}

function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): string {
  return execFileSync(program, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 1_200_000,
  })
}
