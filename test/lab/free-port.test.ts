import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'

const FREE_PORT = join(import.meta.dirname, '../../lab/free-port.ts')
const COUNT = 300

it('gives no port twice, nor to another process', async () => {
  const ports: number[] = []
  for (let count = 0; count < COUNT; count += 1) ports.push(await freePort())
  const others = execFileSync(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { freePort } from ${JSON.stringify(FREE_PORT)}
    for (let count = 0; count < ${COUNT}; count += 1) console.log(await freePort())`,
  ])
  const all = [...ports, ...others.toString().trim().split('\n').map(Number)]
  assert.equal(new Set(all).size, 2 * COUNT)
})
