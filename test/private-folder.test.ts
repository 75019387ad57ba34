import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makePrivateFolder } from '../src/private-folder.ts'

describe('a folder of its own', () => {
  let home: string
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'keyturn-folder-'))
  })
  after(() => rmSync(home, { recursive: true }))

  it('is made with those above it, for its owner alone', () => {
    const path = join(home, 'a/b/c')
    assert.equal(makePrivateFolder(path), true)
    for (const each of ['a', 'a/b', 'a/b/c'])
      assert.equal(statSync(join(home, each)).mode & 0o777, 0o700)
    assert.equal(makePrivateFolder(path), false)
    assert.equal(makePrivateFolder('/'), false)
  })

  it('may be behind a link, but not behind a file or a link that leads nowhere', () => {
    symlinkSync(home, join(home, 'link'))
    symlinkSync(join(home, 'nowhere'), join(home, 'dangling'))
    writeFileSync(join(home, 'file'), '')
    assert.equal(makePrivateFolder(join(home, 'link/inner')), true)
    assert.throws(() => makePrivateFolder(join(home, 'file')), { code: 'EEXIST' })
    assert.throws(() => makePrivateFolder(join(home, 'file/inner')), { code: 'ENOTDIR' })
    assert.throws(() => makePrivateFolder(join(home, 'dangling')), { code: 'EEXIST' })
  })

  it('is refused where a file system takes none, instead of tried for ever', (t) => {
    if (!existsSync('/proc/self')) return t.skip('only Linux has such a file system')
    for (const path of ['/proc/none', '/proc/none/inner', '/proc/self/none'])
      assert.throws(() => makePrivateFolder(path), { code: 'ENOENT' })
  })
})
