import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { service } from '../../lab/services.ts'
import { skipRedis } from '../support/redis.ts'

/** What a test leaves behind that is ended before its last line. */

const LAB = new URL('../../lab/', import.meta.url).href
const REDIS = new URL('../support/redis.ts', import.meta.url).href

/** Makes one of each, says what, and then does as it is told. */
const PROGRAM = `
  const { temporaryFolder } = await import('${LAB}temporary.ts')
  const { service } = await import('${LAB}services.ts')
  const { startRedis } = await import('${REDIS}')
  const { path } = await temporaryFolder()
  const { port } = await startRedis()
  const databases = []
  for (const name of ['postgres', 'mariadb']) {
    const found = await service(name)
    databases.push(found.skip ? '' : (await found.create()).url)
  }
  console.log(JSON.stringify({ path, port, databases }))
  if (process.argv[1] === 'error') throw new Error('the test failed')
  setInterval(() => {}, 60_000)`

interface Made {
  readonly path: string
  readonly port: number
  readonly databases: readonly string[]
}

async function startProgram(end: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, end], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(child, 'exit')
  const [line] = await once(createInterface(child.stdout), 'line')
  // The program's own line.
  return { child, ended, made: JSON.parse(line) as Made }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const answer = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return answer
}

describe('a test that does not come to its end', { skip: skipRedis }, () => {
  for (const end of ['SIGTERM', 'SIGINT', 'error'] as const) {
    it(`leaves no folder, server or database: ${end}`, async () => {
      const { child, ended, made } = await startProgram(end)
      if (end !== 'error') child.kill(end)
      assert.deepEqual(await ended, [{ SIGTERM: 143, SIGINT: 130, error: 1 }[end], null])
      assert.equal(existsSync(made.path), false)
      assert.equal(await isListening(made.port), false)
      const names = ['postgres', 'mariadb'] as const
      for (const [index, url] of made.databases.entries()) {
        if (!url) continue
        const { administer } = await service(names[index] ?? 'postgres')
        const database = new URL(url).pathname.slice(1)
        await administer(`CREATE DATABASE ${database}`)
        await administer(`DROP DATABASE ${database}`)
      }
    })
  }
})
