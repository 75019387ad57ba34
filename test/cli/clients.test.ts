import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Violation } from '../../src/errors.ts'
import { keyturnIn } from './keyturn.ts'

const URI = ['--redirect-uri', 'https://shop.example/callback']

describe('clients', () => {
  it('add generates a secret and shows it once; list and show never show it', async () => {
    await using cli = await keyturnIn()
    const added = await cli.json<{ client_secret: string }>(['clients', 'add', '--id', 'a', ...URI])
    assert.match(added.client_secret, /^[\w-]{43}$/)
    const [list, shown, again] = await Promise.all([
      cli.json<{ id: string; source: string }[]>(['clients', 'list']),
      cli.run(['clients', 'show', 'a']),
      cli.run(['clients', 'add', '--id', 'a', ...URI]),
    ])
    assert.deepEqual(
      list.map(({ id, source }) => [id, source]),
      [['a', 'operator']],
    )
    assert.match(shown.out, /"client_secret": "\*\*\*"/)
    assert.doesNotMatch(JSON.stringify(list) + shown.out, new RegExp(added.client_secret))
    assert.equal(again.status, 1)
    assert.match(again.err, /A client a exists already/)

    assert.equal((await cli.run(['clients', 'remove', 'a'])).status, 0)
    const gone = await cli.run(['clients', 'show', 'a'])
    assert.equal(gone.status, 1)
    assert.match(gone.err, /There is no client a/)
  })

  it('add and update refuse a secret that has ended already', async () => {
    await using cli = await keyturnIn()
    const told = /client_secret_expires_at.*it is 2001-09-09T01:46:40Z, which has passed/
    const withEnd = (end: number) => JSON.stringify({ client_secret_expires_at: end })
    const add = ['clients', 'add', '--id', 'a', '--file', '-', ...URI]
    const added = await cli.run(add, withEnd(1_000_000_000))
    assert.equal(added.status, 1)
    assert.match(added.err, told)
    assert.equal((await cli.run(add, withEnd(9_000_000_000))).status, 0)
    const update = ['clients', 'update', 'a', '--file', '-']
    assert.match((await cli.run(update, withEnd(1_000_000_000))).err, told)
    assert.equal((await cli.run(update, withEnd(0))).status, 0)
  })

  it('add and secret refuse an empty secret, and generate none in its place', async () => {
    await using cli = await keyturnIn()
    const told = /^Standard input is empty, but --secret-stdin reads the secret from it\./
    const add = ['clients', 'add', '--id', 'a', ...URI]
    for (const empty of ['', '\n', '\r\n']) {
      const answer = await cli.run([...add, '--secret-stdin'], empty)
      assert.equal(answer.status, 1)
      assert.match(answer.err, told)
    }
    assert.equal((await cli.run(add)).status, 0)
    assert.match((await cli.run(['clients', 'secret', 'a', '--secret-stdin'])).err, told)
  })

  it('add takes flags, a file and standard input, and a public client gets no secret', async () => {
    await using cli = await keyturnIn()
    const file = join(cli.path, 'client.json')
    await writeFile(file, JSON.stringify({ client_id: 'file', redirect_uris: [URI[1]] }))
    const [spa, machine, fromFile, fromInput, secret] = await Promise.all([
      cli.json<object>(['clients', 'add', '--id', 'spa', '--public', ...URI, 'https://b.example/']),
      cli.json<object>(['clients', 'add', '--id', 'machine', '--grant-type', 'client_credentials']),
      cli.run(['clients', 'add', '--file', file, '--name', 'From a file', '--id-token-alg=ES256']),
      cli.run(['clients', 'add', '--file', '-'], '{"redirect_uris":["https://c.example/"]}'),
      cli.json<object>(['clients', 'add', '--id', 'given', '--secret-stdin', ...URI], 'my own\n'),
    ])
    assert.deepEqual(spa, {
      client_id: 'spa',
      redirect_uris: [URI[1], 'https://b.example/'],
      token_endpoint_auth_method: 'none',
    })
    assert.deepEqual(Object.keys(machine).sort(), [
      'client_id',
      'client_secret',
      'grant_types',
      'response_types',
    ])
    assert.deepEqual([fromFile.status, fromInput.status], [0, 0])
    assert.match(fromInput.out, /^Added client [0-9a-f-]{36}\.\nSecret /)
    assert.equal((secret as { client_secret: string }).client_secret, '***')
    const stored = await cli.withStores((stores) => stores.clients.find('given'))
    assert.equal(stored?.metadata.client_secret, 'my own')
    const named = await cli.withStores((stores) => stores.clients.find('file'))
    assert.equal(named?.metadata.client_name, 'From a file')
  })

  it('add refuses an invalid client before it is stored', async () => {
    await using cli = await keyturnIn()
    const refused: readonly [readonly string[], RegExp][] = [
      [
        ['--id-token-alg', 'ES384', ...URI],
        /no ring signs with ES384\n.* or add sig\/ES384: {} to rotation.rings/,
      ],
      [
        ['--id-token-alg', 'HS256', ...URI],
        /no ring signs with HS256\n.*set id_token_signed_response_alg to RS256 or ES256/,
      ],
      [
        ['--redirect-uri', 'shop.example'],
        /redirect_uris.0: it is "shop.example", but must be an absolute URI/,
      ],
      [
        ['--redirect-uri', 'myapp:/callback'],
        /redirect_uris.0: it is "myapp:\/callback", but must be .* a scheme with a dot/,
      ],
      [
        ['--grant-type', 'password'],
        /grant_types.0: it is "password", but must be one of authorization_code,/,
      ],
      [[], /redirect_uris: it is missing or empty/],
      [['--file', 'nowhere.json'], /nowhere.json cannot be read/],
      // It has no end.
      [['--file', '/dev/zero'], /\/dev\/zero cannot be read: it is no file/],
    ]
    const answers = await Promise.all(
      refused.map(([args]) => cli.run(['clients', 'add', '--id', 'x', ...args])),
    )
    for (const [index, { status, err }] of answers.entries()) {
      const [args, reason] = refused[index] ?? []
      assert.equal(status, 1, args?.join(' '))
      assert.match(err, reason ?? /^$/)
    }
    assert.deepEqual(await cli.json(['clients', 'list']), [])
  })

  it('a client of the configuration cannot be changed or removed by commands', async () => {
    await using cli = await keyturnIn()
    const file = join(cli.path, 'keyturn.yaml')
    const client = { client_id: 'shop', client_secret: 's', redirect_uris: [URI[1]] }
    await writeFile(file, JSON.stringify({ clients: [client] }))
    await cli.withStores(({ clients }) => clients.replaceConfigured([client]))
    const [removed, added] = await Promise.all([
      cli.run(['clients', 'remove', 'shop', '-c', file]),
      cli.run(['clients', 'add', '--id', 'shop', ...URI, '-c', file]),
    ])
    for (const { status, err } of [removed, added]) {
      assert.equal(status, 1)
      assert.match(err, /Client shop is defined by the configuration/)
    }
  })
})

describe('APIs and lifetimes in clients add', () => {
  const withApi = (cli: { readonly path: string }) => join(cli.path, 'api.yaml')
  const api =
    'resources: [{ identifier: "https://a.example", scopes: [read], typ: JWT, audience: a }]'

  it('must be in the configuration, and within the lifetimes of keys and grants', async () => {
    await using cli = await keyturnIn()
    await writeFile(withApi(cli), api)
    const add = (client: object) =>
      cli.run(
        ['clients', 'add', '--file', '-', '--json', '-c', withApi(cli)],
        JSON.stringify({ redirect_uris: [URI[1]], ...client }),
      )
    for (const [client, problem, fix] of [
      [
        { resources: { 'https://b.example': [] } },
        'resources.https://b.example client-api',
        /https:\/\/a/,
      ],
      [
        { resources: { 'https://a.example': ['wirte'] } },
        'resources.https://a.example.0 client-api-scope',
        /write read/,
      ],
      [{ default_resource: 'https://a.example' }, 'default_resource default-resource', /\[\]/],
      [{ client_id: 'a' }, 'client_id api-typ', /at\+jwt/],
      [{ access_token_lifetime: '15d' }, 'access_token_lifetime retention', /20158m/],
      [{ id_token_lifetime: '400d' }, 'id_token_lifetime retention', /rotation\.retention/],
      [
        { refresh_token_lifetime: '15d', grant_types: ['authorization_code', 'refresh_token'] },
        'refresh_token_lifetime grant',
        /at most 14d, or tokens\.grant/,
      ],
    ] as const) {
      const { out } = await add(client)
      const { violations } = JSON.parse(out) as { violations: readonly Violation[] }
      assert.deepEqual(
        violations.map(({ path, rule }) => `${path} ${rule}`),
        [problem],
      )
      assert.match(violations[0]?.fix ?? '', fix)
    }
    const right = {
      client_id: 'shop',
      resources: { 'https://a.example': ['read'] },
      default_resource: 'https://a.example',
      access_token_lifetime: '13d',
    }
    assert.equal((await add(right)).status, 0)
    const shown = await cli.json<{ metadata: object }>(['clients', 'show', 'shop'])
    assert.partialDeepStrictEqual(shown.metadata, right)
  })
})

describe('metadata for clients add', () => {
  const problems = async (args: readonly string[], input = '') => {
    await using cli = await keyturnIn()
    const { status, out, err } = await cli.run(['clients', 'add', ...args, '--json'], input)
    assert.equal(status, 1, out)
    assert.deepEqual(await cli.json(['clients', 'list']), [])
    const { violations }: { violations: Violation[] } = JSON.parse(out)
    for (const { path, fix } of violations) {
      assert.ok(err.includes(`${path}: `) && err.includes(`fix: ${fix}`), err)
    }
    return violations.map(({ path, rule, fix }) => `${path} ${rule}: ${fix}`)
  }

  it('must meet the rules of configured clients, and all problems are reported at once', async () => {
    const found = await problems([
      ...['--id', 'shop ', '--name', 'Shop\u200b'],
      ...['--redirect-uri', 'https://Shop.example/cb', 'https://shop.example/cb\r'],
      ...['--post-logout-redirect-uri', 'https://shop.example:443/bye'],
    ])
    assert.deepEqual(found, [
      'client_id format: write shop instead',
      'client_name format: write Shop instead',
      'redirect_uris.0 format: write https://shop.example/cb instead',
      'redirect_uris.1 format: write https://shop.example/cb instead',
      'post_logout_redirect_uris.0 format: write https://shop.example/bye instead',
    ])
  })

  it('must meet them in a file too, whose byte order mark is ignored', async () => {
    const file = {
      client_id: 'a',
      client_secret: 's3cr\u0000et',
      redirect_uris: ['/cb'],
      scope: ' a',
    }
    const found = await problems(['--file', '-'], `\ufeff${JSON.stringify(file)}`)
    assert.deepEqual(
      found.map((line) => line.replace(/: .*/, '')),
      ['client_secret format', 'redirect_uris.0 format', 'scope format'],
    )
    assert.doesNotMatch(found.join(), /s3cr/)
  })

  it('must be a JSON object in UTF-8 with each name once, or the message says what is wrong', async () => {
    await using cli = await keyturnIn()
    const object = '{"client_id":"a","client_secret":"s3cret"'
    const file = join(cli.path, 'utf16.json')
    await writeFile(file, Buffer.from(`\ufeff${object}}`, 'utf16le'))
    for (const [input, reason] of [
      [`${object},}`, /^Standard input is not JSON: Expected double-quoted property name/],
      [`${object} x`, /^Standard input is not JSON: /],
      ['\ufeff\ufeff{}', /^Standard input is not JSON: Unexpected token 'U\+FEFF'/],
      ['[{"client_id":"a"}]', /is not a JSON object/],
      [
        `${object},"scope":"openid","client_id":"b"}`,
        /has a property twice \(line 1, column \d+\)/,
      ],
    ] as const) {
      const { status, err } = await cli.run(['clients', 'add', '--file', '-'], input)
      assert.equal(status, 1)
      assert.match(err, reason)
      assert.doesNotMatch(err, /(?!\n)[\p{Cc}\p{DI}]|s3cr/u)
    }
    const utf16 = await cli.run(['clients', 'add', '--file', file])
    assert.match(utf16.err, /utf16.json is not UTF-8 text/)
  })

  it('may have lifetimes up to the retention of keys and the lifetime of grants', async () => {
    const machine = ['--id', 'a', '--redirect-uri', 'https://a.example/', '--file', '-']
    const lifetimes = {
      grant_types: ['authorization_code', 'refresh_token'],
      id_token_lifetime: '14d',
      access_token_lifetime: '1h',
      refresh_token_lifetime: '15d',
    }
    assert.deepEqual(await problems(machine, JSON.stringify(lifetimes)), [
      'id_token_lifetime retention: set id_token_lifetime to at most 20158m, or rotation.retention to at least 20162m',
      'refresh_token_lifetime grant: set refresh_token_lifetime to at most 14d, or tokens.grant to at least 15d',
    ])
    await using cli = await keyturnIn()
    const fitting = JSON.stringify({
      ...lifetimes,
      id_token_lifetime: '20158m',
      refresh_token_lifetime: '14d',
    })
    await cli.json(['clients', 'add', ...machine], fitting)
    const { metadata } = await cli.json<{ metadata: Record<string, unknown> }>([
      'clients',
      'show',
      'a',
    ])
    assert.equal(metadata.id_token_lifetime, '20158m')
    const stored = await cli.withStores((stores) => stores.clients.find('a'))
    assert.equal(stored?.metadata.id_token_lifetime, 20_158 * 60)
    const { changed } = await cli.json<{ changed: string[] }>([
      'clients',
      'update',
      'a',
      '--name',
      'A',
    ])
    assert.deepEqual(changed, ['client_name'])
  })
})
