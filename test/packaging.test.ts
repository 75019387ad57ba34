import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

interface Entry {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly gypfile?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const lock: { readonly packages: Readonly<Record<string, Entry>> } = JSON.parse(
  readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'),
)
const entries = Object.entries(lock.packages).filter(([path]) => path !== '')

/** What `npm ci` needs of the lock file on machines other than the one that wrote it. */
describe('the lock file', () => {
  it('has every package with its version and integrity, and no download address', () => {
    for (const [path, { version, integrity, resolved }] of entries) {
      assert.ok(version && integrity, path)
      assert.equal(resolved, undefined, path)
    }
  })

  it('has every optional dependency, those of other platforms too: npm ci fails without', () => {
    for (const [path, { optionalDependencies = {} }] of entries) {
      for (const name of Object.keys(optionalDependencies)) {
        const isThere = entries.some(([other]) => other.endsWith(`node_modules/${name}`))
        assert.ok(isThere, `${path} needs ${name}`)
      }
    }
  })

  // npm writes the entry without it, and then wants Python and a compiler for a build that nobody
  // uses: the package brings its binaries. Put it back by hand.
  it('says that better-sqlite3 is not to be built', () => {
    assert.equal(lock.packages['node_modules/better-sqlite3-napi']?.gypfile, false)
  })
})
