import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { it } from 'node:test'
import { packageFile } from '../../src/package-files.ts'

it('the style sheet of Pico that pages use is the one of the package', async () => {
  const [ours, theirs] = await Promise.all([
    readFile(packageFile('views/static/pico.min.css'), 'utf8'),
    readFile(new URL(import.meta.resolve('@picocss/pico/css/pico.jade.min.css')), 'utf8'),
  ])
  assert.equal(ours, theirs)
})
