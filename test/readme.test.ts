import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../lab/free-port.ts'
import { PERSON, startTestServer } from '../lab/server.ts'
import { temporaryFolder } from '../lab/temporary.ts'
import { createUserAgent, signIn } from '../lab/user-agent.ts'

const CHECKOUT = join(import.meta.dirname, '..')
/** Without settings of this process: the tests have some that a server does not know. */
const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTURN_')),
)
const README = readFileSync(join(CHECKOUT, 'README.md'), 'utf8')

describe('the README', () => {
  it('leads to a sign-in whose ID token is verified, when followed as it is written', async () => {
    await using keyturn = await startTestServer({ settings: { clients: [], resources: [] } })
    const port = await freePort()
    const here = (text: string) =>
      text.replaceAll('http://localhost:3000', keyturn.issuer).replaceAll('8000', String(port))

    const add = /keyturn -- (clients add --id my-app .*)/.exec(README)?.[1] ?? ''
    const config = ['--config', join(keyturn.folder, 'keyturn.yaml')]
    const command = [join(CHECKOUT, 'src/cli.ts'), ...here(add).split(' '), ...config]
    execFileSync(process.execPath, command, { stdio: ['ignore', 'ignore', 'inherit'], env: ENV })

    const folder = await temporaryFolder()
    await symlink(join(CHECKOUT, 'node_modules'), join(folder.path, 'node_modules'))
    const program = /as `app\.mjs`.*?```js\n(.*?)```/s.exec(README)?.[1] ?? ''
    await writeFile(join(folder.path, 'app.mjs'), here(program))
    const app = spawn(process.execPath, ['app.mjs'], { cwd: folder.path, stdio: 'inherit' })
    try {
      const agent = createUserAgent()
      const start = await untilAnswered(() => agent.request(`http://localhost:${port}/`))
      const { callback } = await signIn(agent, start.headers.get('location') ?? '', PERSON)
      const response = await agent.request(callback.href)
      const { verified, userinfo } = (await response.json()) as Record<string, { sub: string }>
      assert.equal(response.status, 200)
      assert.ok(verified?.sub)
      assert.equal(userinfo?.sub, verified.sub)
    } finally {
      app.kill()
      await once(app, 'close')
      await folder.remove()
    }
  })
})

/** The application listens a moment after it was started, and says nothing then. */
async function untilAnswered(ask: () => Promise<Response>): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === 200) throw error
      await delay(50)
    }
  }
}
