import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { testProtector } from '../../src/conformance/protector.ts'
import { environmentProtector, fileProtector } from '../../src/seal/protector.ts'

testProtector({ describe, it }, 'file', async () => {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'kek.json')
  return { protector: fileProtector(path), other: fileProtector(path), close: folder.remove }
})

testProtector({ describe, it }, 'environment', async () => {
  const keys = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64url'))
  const text = keys.join(',')
  const close = async () => {}
  return { protector: environmentProtector(text), other: environmentProtector(text), close }
})
