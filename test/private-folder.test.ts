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

  it('is made with those above it, for its owner alone', async () => {
    const path = join(home, 'a/b/c')
    assert.equal(await makePrivateFolder(path), true)
    for (const each of ['a', 'a/b', 'a/b/c'])
      assert.equal(statSync(join(home, each)).mode & 0o777, 0o700)
    assert.equal(await makePrivateFolder(path), false)
    assert.equal(await makePrivateFolder('/'), false)
  })

  it('may be behind a link, but not behind a file or a link that leads nowhere', async () => {
    symlinkSync(home, join(home, 'link'))
    symlinkSync(join(home, 'nowhere'), join(home, 'dangling'))
    writeFileSync(join(home, 'file'), '')
    assert.equal(await makePrivateFolder(join(home, 'link/inner')), true)
    await assert.rejects(makePrivateFolder(join(home, 'file')), { code: 'EEXIST' })
    await assert.rejects(makePrivateFolder(join(home, 'file/inner')), { code: 'ENOTDIR' })
    await assert.rejects(makePrivateFolder(join(home, 'dangling')), { code: 'EEXIST' })
  })

  it('is refused where a file system takes none, instead of tried for ever', async (t) => {
    if (!existsSync('/proc/self')) return t.skip('only Linux has such a file system')
    for (const path of ['/proc/none', '/proc/none/inner', '/proc/self/none'])
      await assert.rejects(makePrivateFolder(path), { code: 'ENOENT' })
  })
})
