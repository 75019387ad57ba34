import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { DAY, keyturnIn } from './keyturn.ts'

describe('serve', () => {
  it('says which listener finds its port taken', async () => {
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

  it('starts, lets the command line turn its rings, and stops at a signal', async () => {
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

  it('with workers says the same of a port that is taken, and nothing else', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    // A server that listens on TCP has an AddressInfo.
    const port = `${(taken.address() as AddressInfo).port}`
    const workers = { KEYTURN_HTTP__WORKERS: '2' }
    await using first = await keyturnIn({
      ...workers,
      KEYTURN_HTTP__PORT: port,
      KEYTURN_MANAGEMENT__PORT: '0',
    })
    await using second = await keyturnIn({
      ...workers,
      KEYTURN_HTTP__PORT: '0',
      KEYTURN_MANAGEMENT__PORT: port,
    })
    const [http, management] = await Promise.all([
      first.spawned(['serve']),
      second.spawned(['serve']),
    ])
    taken.close()
    assert.deepEqual([http.status, management.status], [1, 1])
    const reason = /^Cannot listen on 127.0.0.1:\d+ \((\w+).host, .*: another program.*\n$/
    assert.equal(reason.exec(http.err)?.[1], 'http', http.err)
    assert.equal(reason.exec(management.err)?.[1], 'management', management.err)
  })

  it('with workers shows the one-time password once, and all of them stop at a signal', async () => {
    await using cli = await keyturnIn({
      KEYTURN_HTTP__PORT: '0',
      KEYTURN_HTTP__WORKERS: '2',
      KEYTURN_MANAGEMENT__PORT: '0',
    })
    const server = spawn(process.execPath, cli.command(['serve']), cli.spawnOptions)
    const exit = once(server, 'exit')
    let banner = ''
    for await (const chunk of server.stdout) {
      banner += chunk
      if (/Password {4}\S+\n/.test(banner)) break
    }
    const [health = ''] = /http:\S+\/health\/ready/.exec(banner) ?? []
    while (!(await (await fetch(health)).text()).includes('2 of 2 run'));
    server.kill('SIGTERM')
    assert.deepEqual(await exit, [0, null])
    assert.equal(banner.match(/Password {4}\S+\n/g)?.length, 1)
    assert.equal((await cli.json(['accounts', 'list'])).length, 1)
  })

  it('with workers that cannot start gives the reason of the first, once', async () => {
    await using cli = await keyturnIn({
      KEYTURN_HTTP__PORT: '0',
      KEYTURN_HTTP__WORKERS: '2',
      KEYTURN_MANAGEMENT__PORT: '0',
    })
    await cli.makeRings(DAY)
    await rm(`${cli.path}/kek.jwks`)
    const answer = await cli.spawned(['serve'])
    assert.equal(answer.status, 1)
    assert.match(
      answer.err,
      /^The key-encryption key file \S+ is missing\. 6 keys and the secret [^\n]*\n$/,
    )
    assert.doesNotMatch(answer.out, /running/)
  })

  it('alone can start a worker', async () => {
    await using cli = await keyturnIn()
    const answer = await cli.spawned(['worker'])
    assert.deepEqual([answer.status, answer.out], [1, ''])
    assert.match(answer.err, /started by a server .* keyturn serve/)
    assert.doesNotMatch((await cli.run(['--help'])).out, /worker/)
  })

  it('names every problem of the configuration and does not start', async () => {
    await using cli = await keyturnIn()
    const answer = await cli.spawned(['serve', '--config', 'missing.yaml'])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /missing.yaml: the config file does not exist/)
  })
})
