import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { keyturnIn } from './keyturn.ts'

const BROKEN = `
rotation:
  propagation: 30m
  refreshInterval: 1h
tokens:
  idtoken: 2h
clients:
  - client_id: shop
    client_secret: very-secret
    redirect_uris: [https://shop.example/callback]
`

/** A safe configuration with a warning, because the port of the issuer is not that of the server. */
const SAFE = `${BROKEN}http: { port: 8080 }\n`
  .replace('30m', '3d')
  .replace('1h', '1m')
  .replace('idtoken', 'idToken')

describe('config', () => {
  it('check reports every violation at once, in JSON and in words, with status 1', async () => {
    await using cli = await keyturnIn()
    const file = join(cli.path, 'broken.yaml')
    await writeFile(file, BROKEN)
    const [json, words] = await Promise.all([
      cli.run(['config', 'check', '--json', '--config', file]),
      cli.run(['-c', file, 'config', 'check']),
    ])
    assert.deepEqual([json.status, words.status], [1, 1])
    const { ok, violations, warnings } = JSON.parse(json.out)
    assert.equal(ok, false)
    assert.deepEqual(warnings, [])
    assert.deepEqual(violations.map((violation: { path: string }) => violation.path).sort(), [
      'rotation.propagation',
      'rotation.refreshInterval',
      'tokens.idtoken',
    ])
    for (const violation of violations) {
      assert.deepEqual(Object.keys(violation).sort(), ['fix', 'message', 'path', 'rule', 'value'])
    }
    assert.equal(words.out, '')
    assert.match(words.err, /has 3 problem\(s\)/)
    assert.match(words.err, /fix: set rotation.propagation to at least 77m/)
  })

  it('check of a safe file succeeds and prints its warnings', async () => {
    await using cli = await keyturnIn()
    const file = join(cli.path, 'safe.yaml')
    await writeFile(file, SAFE)
    const [json, words] = await Promise.all([
      cli.json<{ ok: boolean; violations: []; warnings: string[] }>([
        '-c',
        file,
        'config',
        'check',
      ]),
      cli.run(['config', 'check', '-c', file]),
    ])
    assert.equal(json.ok, true)
    assert.deepEqual(json.violations, [])
    assert.match(json.warnings.join(), /http.port 8080 name different ports/)
    assert.equal(json.warnings.length, words.out.match(/^Warning: /gm)?.length)
    assert.match(words.out, /^The configuration is valid\.\n/)
  })

  it('show hides secrets and names the source of each value; schema prints a JSON Schema', async () => {
    await using cli = await keyturnIn()
    const file = join(cli.path, 'safe.yaml')
    await writeFile(file, SAFE)
    const [words, json, schema] = await Promise.all([
      cli.run(['config', 'show', '-c', file]),
      cli.json<{ rotation: { propagation: string } }>(['config', 'show', '-c', file]),
      cli.run(['config', 'schema']),
    ])
    assert.match(words.out, /propagation: 3d # .*safe\.yaml, line 3/)
    assert.match(words.out, /client_secret: "?\*\*\*/)
    assert.doesNotMatch(words.out + JSON.stringify(json), /very-secret/)
    assert.equal(json.rotation.propagation, '3d')
    assert.equal(JSON.parse(schema.out).title, 'Keyturn configuration')
  })
})
