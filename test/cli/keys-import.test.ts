import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { DAY, keyturnIn, type Row } from './keyturn.ts'

interface Shown {
  readonly keys: readonly {
    readonly kid: string
    readonly thumbprint: string
    readonly ring: string
    readonly phase: string
    readonly publishedUntil: string | null
    readonly source: string
  }[]
  readonly left: readonly { readonly name: string; readonly code: string }[]
  readonly applied: boolean
}

type Cli = Awaited<ReturnType<typeof keyturnIn>>

async function jwk(kid: string, alg = 'ES256'): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' }
}

function publicOf({ d: _, p, q, dp, dq, qi, ...rest }: JWK): JWK {
  return rest
}

async function file(cli: Cli, name: string, keys: readonly JWK[]): Promise<string> {
  const path = join(cli.path, name)
  await writeFile(path, JSON.stringify({ keys }))
  return path
}

function phases(rows: readonly { kid: string; phase: string }[]): readonly string[] {
  return rows.map(({ kid, phase }) => `${kid} ${phase}`)
}

const inSqlite = (rows: readonly Row[]) => rows.filter(({ ring }) => ring === 'sig/ES256')

describe('keys import', () => {
  it('creates no file for a preview, and database and key-encryption key with --apply', async () => {
    await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: 'sqlite:own/keyturn.db' })
    const source = await file(cli, 'jwks.json', [await jwk('one')])
    const before = await readdir(cli.path)
    const preview = await cli.spawned(['keys', 'import', 'jwks', source, '--json'])
    assert.equal(preview.status, 0, preview.err)
    assert.deepEqual(await readdir(cli.path), before)
    const shown: Shown = JSON.parse(preview.out)
    assert.deepEqual(Object.keys(shown), ['keys', 'left', 'applied'])
    assert.deepEqual(Object.keys(shown.keys[0] ?? {}), [
      ...['kid', 'thumbprint', 'ring', 'phase', 'publishedUntil', 'source'],
    ])
    const done = await cli.spawned(['keys', 'import', 'jwks', source, '--apply', '--json'])
    assert.equal(done.status, 0, done.err)
    assert.deepEqual(JSON.parse(done.out), { ...shown, applied: true })
    assert.ok(existsSync(join(cli.path, 'own/keyturn.db')))
    assert.ok(existsSync(join(cli.path, 'kek.jwks')))
  })

  it('makes the old signing key the active key, which the first start keeps, and adds nothing twice', async () => {
    await using cli = await keyturnIn()
    const kid = 'ключ of "the" old/system 鍵'
    const keys = [await jwk(kid), await jwk('waits'), publicOf(await jwk('gone'))]
    const source = await file(cli, 'jwks.json', keys)
    const args = ['keys', 'import', 'jwks', source, '--next', 'waits', '--apply']
    const [first, again] = [await cli.json<Shown>(args), await cli.json<Shown>(args)]
    assert.deepEqual(phases(first.keys), [`${kid} active`, 'waits pre-active', 'gone retired'])
    assert.deepEqual(phases(again.keys), phases(first.keys))
    const thumbprints = await Promise.all(keys.map((key) => calculateJwkThumbprint(key)))
    assert.deepEqual(
      first.keys.map(({ thumbprint }) => thumbprint),
      thumbprints,
    )
    const rows = inSqlite(await cli.json(['keys', 'list']))
    assert.equal(rows.length, 3)
    const planned = await cli.json<{ due: { ring: string; change: string }[] }>(['keys', 'plan'])
    const made = planned.due.filter(({ change }) => change === 'create').map(({ ring }) => ring)
    assert.ok(!made.includes('sig/ES256'), 'a ring with a signer and a next key needs none')
    const { publicJwk } = await cli.json<{ publicJwk: JWK }>(['keys', 'show', kid])
    assert.equal(publicJwk.kid, kid)
  })

  it('changes nothing when it is repeated, whichever of its keys signed and which was revoked since', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const keys = [await jwk('signer'), await jwk('older'), await jwk('oldest')]
    const source = await file(cli, 'jwks.json', keys)
    const args = ['keys', 'import', 'jwks', source, '--apply']
    await cli.json([...args, '--signer', 'imported'])
    const before = inSqlite(await cli.json(['keys', 'list']))
    for (const again of [args, [...args, '--signer', 'imported']]) {
      await cli.json(again)
      assert.deepEqual(phases(inSqlite(await cli.json(['keys', 'list']))), phases(before))
    }
    await cli.json(['keys', 'revoke', 'signer'])
    const after = inSqlite(await cli.json(['keys', 'list']))
    await cli.json([...args, '--signer', 'imported'])
    assert.deepEqual(phases(inSqlite(await cli.json(['keys', 'list']))), phases(after))
  })

  it('names keys without a ring, refuses them, and continues once their loss is accepted', async () => {
    await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: 'sqlite:own/keyturn.db' })
    const source = await file(cli, 'jwks.json', [await jwk('one'), await jwk('big', 'ES512')])
    const args = ['keys', 'import', 'jwks', source]
    const preview: Shown = JSON.parse((await cli.spawned([...args, '--json'])).out)
    assert.deepEqual(
      preview.left.map(({ name, code }) => `${name} ${code}`),
      ['big ring_missing'],
    )
    const refused = await cli.spawned([...args, '--apply'])
    assert.equal(refused.status, 1)
    assert.match(refused.err, /^ring_missing: .*sig\/ES512: \{\}.*--leave big\n$/)
    assert.ok(!existsSync(join(cli.path, 'own')), 'a refusal makes no database')
    const done = await cli.spawned([...args, '--apply', '--leave', 'big', '--json'])
    assert.equal(done.status, 0, done.err)
    const shown: Shown = JSON.parse(done.out)
    assert.deepEqual([phases(shown.keys), shown.left.length], [['one active'], 1])
  })

  it('needs --signer in a ring with an active key, and obeys either value', async () => {
    for (const [signer, wanted] of [
      ['present', ['active', 'pre-active', 'retired']],
      ['imported', ['retired', 'retired', 'active']],
    ] as const) {
      await using cli = await keyturnIn()
      await cli.makeRings(20 * DAY)
      const source = await file(cli, 'jwks.json', [await jwk('theirs')])
      const args = ['keys', 'import', 'jwks', source]
      const refused = await cli.run([...args, '--apply'])
      assert.equal(refused.status, 1)
      assert.match(refused.err, /^signer_undecided: .*--signer imported.*--signer present.*\n$/)
      const { keys } = await cli.json<Shown>([...args, '--signer', signer, '--apply'])
      assert.equal(keys[0]?.phase, signer === 'present' ? 'retired' : 'active')
      const rows = inSqlite(await cli.json(['keys', 'list']))
      assert.deepEqual(
        rows.map(({ phase }) => phase),
        wanted,
        signer,
      )
      const again = await cli.json<Shown>([...args, '--signer', signer, '--apply'])
      assert.deepEqual(phases(again.keys), phases(keys))
    }
  })

  it('refuses a kid that belongs to another key, and adds no other key of the source', async () => {
    await using cli = await keyturnIn()
    const first = await file(cli, 'a.json', [await jwk('one')])
    await cli.json(['keys', 'import', 'jwks', first, '--apply'])
    const second = await file(cli, 'b.json', [publicOf(await jwk('good')), await jwk('one')])
    const refused = await cli.run([
      'keys',
      'import',
      'jwks',
      second,
      '--signer',
      'present',
      '--apply',
    ])
    assert.equal(refused.status, 1)
    assert.match(refused.err, /^kid_taken: .*\n$/)
    assert.equal((await cli.json(['keys', 'list'])).length, 1)
  })

  it('refuses to publish more than ten keys, already in the preview', async () => {
    await using cli = await keyturnIn()
    const keys = await Promise.all(Array.from({ length: 11 }, (_, i) => jwk(`key-${i}`)))
    const source = await file(cli, 'jwks.json', keys)
    const refused = await cli.run(['keys', 'import', 'jwks', source])
    assert.equal(refused.status, 1)
    assert.match(refused.err, /^jwks_full: .* 11 would be published.*\n$/)
  })

  it('refuses if tokens of the old system would outlive their key', async () => {
    await using cli = await keyturnIn()
    const source = await file(cli, 'jwks.json', [await jwk('one')])
    const args = ['keys', 'import', 'jwks', source, '--token-lifetime']
    const refused = await cli.run([...args, '30d'])
    assert.match(refused.err, /^retention_short: .*30d.*\n$/)
    assert.equal((await cli.run([...args, '7d'])).status, 0)
  })

  it('does not bring back a key that was revoked here', async () => {
    await using cli = await keyturnIn()
    const source = await file(cli, 'jwks.json', [await jwk('one'), await jwk('two')])
    await cli.json(['keys', 'import', 'jwks', source, '--apply'])
    await cli.json(['keys', 'revoke', 'two'])
    const { left } = await cli.json<Shown>(['keys', 'import', 'jwks', source, '--apply'])
    assert.deepEqual(
      left.map(({ name, code }) => `${name} ${code}`),
      ['two key_revoked'],
    )
  })
})

describe('keys import from who means harm', () => {
  it('shows names on the lines that are theirs, and escapes them in JSON', async () => {
    await using cli = await keyturnIn()
    const hostile = 'x\n\nRelying parties will see 1 key: none.\r\u001b[2J\u202e\ud800'
    const source = await file(cli, 'jwks.json', [await jwk('good'), await jwk(hostile)])
    const { out } = await cli.run(['keys', 'import', 'jwks', source])
    assert.equal(out.match(/^Relying parties/gm)?.length, 1)
    assert.match(out, /^Left {5}x\?\?Relying parties .*\(kid_malformed\)/m)
    assert.doesNotMatch(out, /(?!\n)[\p{Cc}\u202e]/u)
    const json = await cli.run(['keys', 'import', 'jwks', source, '--json'])
    assert.doesNotMatch(json.out, /(?!\n)[\p{Cc}\u202e]/u)
    const { left } = JSON.parse(json.out) as Shown
    assert.equal(left[0]?.name, hostile.toWellFormed())
  })

  it('takes a kid for itself before it takes one for the beginning of another', async () => {
    await using cli = await keyturnIn()
    const names = [
      'abc',
      'abc...',
      'abc\u2026',
      '__proto__',
      'é',
      'e\u0301',
      '\ud83d\udd11'.repeat(255),
    ]
    const keys = await Promise.all(names.map((kid) => jwk(kid)))
    await cli.json(['keys', 'import', 'jwks', await file(cli, 'jwks.json', keys), '--apply'])
    const listed = inSqlite(await cli.json(['keys', 'list']))
    assert.deepEqual(listed.map(({ kid }) => kid).toSorted(), names.toSorted())
    for (const name of names.slice(1)) {
      const { revoked } = await cli.json<{ revoked: string[] }>(['keys', 'revoke', name])
      assert.deepEqual(revoked, [name])
    }
    assert.equal((await cli.json<Row>(['keys', 'show', 'abc'])).phase, 'active')
  })

  it('refuses a next key that the source does not have, or only in public', async () => {
    await using cli = await keyturnIn()
    const keys = [await jwk('one'), publicOf(await jwk('two'))]
    const source = await file(cli, 'jwks.json', keys)
    for (const [kid, code] of [
      ['tow', 'next_unknown'],
      ['two', 'key_public_only'],
    ] as const) {
      const { status, err } = await cli.run(['keys', 'import', 'jwks', source, '--next', kid])
      assert.deepEqual([status, err.split(':')[0]], [1, code])
    }
  })

  it('adds the keys once where two processes import them into no database at once', async () => {
    await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: 'sqlite:own/keyturn.db' })
    const source = await file(cli, 'jwks.json', [await jwk('one'), publicOf(await jwk('two'))])
    const args = ['keys', 'import', 'jwks', source, '--apply', '--json']
    const both = await Promise.all([cli.spawned(args), cli.spawned(args)])
    for (const { status, err } of both) {
      if (status !== 0)
        assert.match(err, /^(kid_taken|place_taken|store_unavailable): .*again.*\n$/)
    }
    const again = await cli.spawned(args)
    assert.equal(again.status, 0, again.err)
    const rows = inSqlite(JSON.parse((await cli.spawned(['keys', 'list', '--json'])).out))
    assert.deepEqual(phases(rows).toSorted(), ['one active', 'two retired'])
  })
})

describe('keys add', () => {
  it('publishes a JWKS of another issuer for validation, until --not-after', async () => {
    await using cli = await keyturnIn()
    const keys = [publicOf(await jwk('far')), publicOf(await jwk('away', 'RS256'))]
    const server = createServer((_, response) => response.end(JSON.stringify({ keys })))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    try {
      const added = await cli.json<Shown>([
        ...['keys', 'add', `http://127.0.0.1:${port}/jwks`, '--as', 'validation'],
        ...['--not-after', '2099-01-01T00:00:00Z', '--apply'],
      ])
      assert.deepEqual(
        added.keys.map(({ kid, phase, publishedUntil }) => [kid, phase, publishedUntil]),
        ['far', 'away'].map((kid) => [kid, 'retired', '2099-01-01T00:00:00Z']),
      )
    } finally {
      server.close()
    }
    const plain = await cli.run(['keys', 'add', 'http://example.com/jwks', '--as', 'validation'])
    assert.match(plain.err, /^source_unreadable: .*https.*\n$/)
    const { due } = await cli.json<{ due: { ring: string; generation: number; change: string }[] }>(
      [...['keys', 'plan']],
    )
    const first = due.find(({ ring, change }) => ring === 'sig/ES256' && change === 'activate')
    assert.equal(first?.generation, 2, 'a key of this issuer signs at the first start')
  })

  it('adds one key under the kid of --kid, and refuses to sign with a key that relying parties do not know', async () => {
    await using cli = await keyturnIn()
    const [one, two] = [await jwk('x'), await jwk('y')]
    const [a, b] = [await file(cli, 'a.json', [one]), await file(cli, 'b.json', [two])]
    await cli.json(['keys', 'add', a, '--as', 'active', '--kid', 'known name', '--apply'])
    const refused = await cli.run(['keys', 'add', b, '--as', 'active', '--apply'])
    assert.match(refused.err, /^key_unseen: .*--as standby.*\n$/)
    const half = await file(cli, 'half.json', [publicOf(two)])
    const blunt = await cli.run(['keys', 'add', half, '--as', 'standby'])
    assert.match(blunt.err, /^key_public_only: /)
    await cli.json(['keys', 'add', b, '--as', 'standby', '--apply'])
    const early = await cli.run(['keys', 'add', b, '--as', 'active', '--apply'])
    assert.match(early.err, /^key_too_new: .* of the 14 d that relying parties need.*\n$/)
    const rows = inSqlite(await cli.json(['keys', 'list']))
    assert.deepEqual(phases(rows), ['known name active', 'y pre-active'])
  })
})

describe('keys export duende', () => {
  it('writes files that the reader of IdentityServer reads, replaces none, and needs --clear without a key ring', async () => {
    await using cli = await keyturnIn()
    const keys = [await jwk('one', 'RS256'), await jwk('two', 'ES256'), publicOf(await jwk('half'))]
    await cli.json(['keys', 'import', 'jwks', await file(cli, 'jwks.json', keys), '--apply'])
    const to = join(cli.path, 'back')
    const args = ['keys', 'export', 'duende', '--to', to]
    const refused = await cli.run(args)
    assert.deepEqual([refused.status, existsSync(to)], [1, false])
    const { written, left } = await cli.json<{ written: string[]; left: { name: string }[] }>([
      ...args,
      '--clear',
    ])
    assert.equal(written.length, 2)
    assert.deepEqual(
      left.map(({ name }) => name),
      ['half'],
    )
    const again = await cli.run([...args, '--clear'])
    assert.match(again.err, /exists already and is not replaced/)
    const back = await cli.json<Shown>(['keys', 'import', 'duende', to])
    assert.deepEqual(phases(back.keys).toSorted(), ['one active', 'two active'])
  })
})
