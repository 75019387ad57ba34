import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { glob, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { temporaryFolder } from '../lab/temporary.ts'

const ROOT = join(import.meta.dirname, '..')
const CRUISER = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs')

/** What dependency-cruiser says of a tree with these files under the rules of this repository. */
async function cruise(files: Readonly<Record<string, string>>): Promise<string> {
  await using temporary = await temporaryFolder()
  const folder = temporary.path
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  const args = [CRUISER, '--config', join(ROOT, '.dependency-cruiser.mjs'), 'src']
  return await promisify(execFile)(process.execPath, args, { cwd: folder }).then(
    ({ stdout }) => stdout,
    ({ stdout }) => stdout,
  )
}

describe('the rules of the house', () => {
  it('pass a tree that keeps to them', async () => {
    const said = await cruise({
      'src/ring/key.ts': 'export const key = 1\n',
      'src/http/app.ts': "import { key } from '../ring/key.ts'\nexport const app: number = key\n",
    })
    assert.match(said, /no dependency violations found \(2 modules, 1 dependencies cruised\)/)
  })

  it('refuse a cycle of two files, types included', async () => {
    const said = await cruise({
      'src/ring/key.ts': "import type { Plan } from './plan.ts'\nexport type Key = Plan\n",
      'src/ring/plan.ts': "import type { Key } from './key.ts'\nexport type Plan = Key\n",
    })
    assert.match(said, /error no-circular-files: src\/ring\/(key|plan)\.ts/)
  })

  it('refuse a cycle of two rooms', async () => {
    const said = await cruise({
      'src/ring/key.ts': "import { url } from '../values/url.ts'\nexport const key = url\n",
      'src/values/url.ts': 'export const url = 1\n',
      'src/values/text.ts': "import { plan } from '../ring/plan.ts'\nexport const text = plan\n",
      'src/ring/plan.ts': 'export const plan = 1\n',
    })
    assert.match(said, /error no-circular-folders: src\/(ring|values)/)
  })

  it('refuse an import from a room above', async () => {
    const said = await cruise({
      'src/ring/key.ts': "import { app } from '../http/app.ts'\nexport const key = app\n",
      'src/http/app.ts': 'export const app = 1\n',
    })
    assert.match(said, /error floor-ring: src\/ring\/key\.ts → src\/http\/app\.ts/)
  })
})

describe('the files of src/', () => {
  // Biome's own rule does not count the lines of comments, which are read as well.
  it('have fewer than 300 lines each', async () => {
    const long: string[] = []
    for await (const file of glob('src/**/*.ts', { cwd: ROOT })) {
      const lines = (await readFile(join(ROOT, file), 'utf8')).trimEnd().split('\n').length
      if (lines >= 300) long.push(`${file}: ${lines}`)
    }
    assert.deepEqual(long, [])
  })
})
