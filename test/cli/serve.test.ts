import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { keyturnIn } from './keyturn.ts'

describe('serve', () => {
  it('names the listener whose port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    // A server that listens on TCP has an AddressInfo.
    const port = `${(taken.address() as AddressInfo).port}`
    await using first = await keyturnIn({ KEYTURN_HTTP__PORT: port, KEYTURN_MANAGEMENT__PORT: '0' })
    await using second = await keyturnIn({
      KEYTURN_HTTP__PORT: '0',
      KEYTURN_MANAGEMENT__PORT: port,
    })
    const [http, management] = await Promise.all([
      first.spawned(['serve']),
      second.spawned(['serve']),
    ])
    taken.close()
    assert.deepEqual([http.status, management.status], [1, 1])
    assert.match(http.err, new RegExp(`127.0.0.1:${port} \\(http.host, http.port\\): another`))
    assert.match(management.err, /\(management.host, management.port\): another program/)
    assert.doesNotMatch(http.err, /\.ts:\d/)
  })

  it('starts, follows orders of the command line, and stops at a signal', async () => {
    await using cli = await keyturnIn({ KEYTURN_HTTP__PORT: '0', KEYTURN_MANAGEMENT__PORT: '0' })
    const server = spawn(process.execPath, cli.command(['serve']), cli.spawnOptions)
    const exit = once(server, 'exit')
    let banner = ''
    for await (const chunk of server.stdout) {
      banner += chunk
      if (/Password {4}\S+\n/.test(banner)) break
    }
    assert.match(banner, /Keyturn is running\.\n\n {2}Issuer {3}http:\/\/localhost:3000/)
    assert.match(banner, /User name {3}admin/)

    const { keys } = await cli.json<{ keys: object[] }>(['keys', 'rotate', 'sig/ES256'])
    assert.equal(keys.length, 2, 'the standby waits until RPs know it')
    server.kill('SIGTERM')
    assert.deepEqual(await exit, [0, null])
  })

  it('fails if it should take a passed socket and none is passed', async () => {
    await using cli = await keyturnIn({
      KEYTURN_HTTP__SOCKET_ACTIVATION: 'true',
      KEYTURN_MANAGEMENT__PORT: '0',
    })
    const answer = await cli.spawned(['serve'])
    assert.deepEqual([answer.status, answer.out], [1, ''])
    assert.match(answer.err, /^http\.socketActivation is true, but no socket was passed [^\n]*\n$/)
  })

  it('names every problem of the configuration and does not start', async () => {
    await using cli = await keyturnIn()
    const answer = await cli.spawned(['serve', '--config', 'missing.yaml'])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /missing.yaml: the config file does not exist/)
  })
})
