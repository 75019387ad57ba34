import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyturnIn, type Row } from './keyturn.ts'

const [FORMER, NEXT] = ['http://localhost:3000', 'http://localhost:3000/next']

/** Commands on stores whose issuer is not the configured issuer. */
function renamedIn({ config }: Awaited<ReturnType<typeof keyturnIn>>) {
  return keyturnIn({
    KEYTURN_ISSUER: NEXT,
    KEYTURN_DATABASE__URL: config.database.url,
    KEYTURN_SEAL__FILE: config.seal.file,
  })
}

describe('keyturn issuers', () => {
  it('list shows keys, people and clients of each issuer, and which is configured', async () => {
    await using cli = await keyturnIn()
    const none = { keys: 0, accounts: 0, clients: 0 }
    assert.deepEqual(await cli.json(['issuers', 'list']), [
      { issuer: FORMER, ...none, isConfigured: true },
    ])
    await cli.makeRings(0)
    await cli.json(['accounts', 'add', 'ada'])
    const { length: keys } = await cli.json<Row[]>(['keys', 'list'])
    const kept = { issuer: FORMER, keys, accounts: 1, clients: 0 }
    assert.deepEqual(await cli.json(['issuers', 'list']), [{ ...kept, isConfigured: true }])
    await using renamed = await renamedIn(cli)
    assert.deepEqual(await renamed.json(['issuers', 'list']), [
      { ...kept, isConfigured: false },
      { issuer: NEXT, ...none, isConfigured: true },
    ])
    assert.match((await renamed.run(['issuers', 'list'])).out, /localhost:3000 +no +\d+ +1 +0\n/)
  })

  it('rename explains the consequences, and renames with --apply', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(0)
    await cli.json(['accounts', 'add', 'ada'])
    const keys = await cli.json(['keys', 'list'])
    await using renamed = await renamedIn(cli)
    const refused = await renamed.run(['keys', 'list'])
    assert.equal(refused.status, 1)
    assert.match(
      refused.err,
      /belong to http:\/\/localhost:3000, and none to http:\/\/localhost:3000\/next/,
    )
    const command = `issuers rename ${FORMER} ${NEXT}`
    assert.ok(refused.err.includes(`keyturn ${command}`), refused.err)

    const preview = await renamed.run(command.split(' '))
    assert.match(preview.out, /^Would rename .*: \d+ keys, 1 person, 0 clients/)
    assert.match(preview.out, /Everybody signs in once more/)
    assert.match(preview.out, /Nothing was done/)
    assert.deepEqual(await cli.json(['keys', 'list']), keys)

    const done = await renamed.run([...command.split(' '), '--apply'])
    assert.equal(done.status, 0, done.err)
    assert.match(done.out, /^Renamed .*[\s\S]*Set issuer to http:\/\/localhost:3000\/next/)
    const moved = keys.map((key) => ({ ...key, issuer: NEXT }))
    assert.deepEqual(await renamed.json(['keys', 'list']), moved)
    const former = await cli.run(['keys', 'list'])
    assert.equal(former.status, 1)
    assert.ok(former.err.includes(`issuers rename ${NEXT} ${FORMER}`), former.err)
  })

  it('rename refuses an invalid issuer and an unknown one', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(0)
    for (const [from, to, why] of [
      [FORMER, 'next.example', /cannot be an issuer/],
      [FORMER, `https://next.example/${'a'.repeat(250)}`, /at most 255 characters/],
      [NEXT, FORMER, /Nothing is kept of the issuer/],
    ] as const) {
      const { status, err } = await cli.run(['issuers', 'rename', from, to])
      assert.equal(status, 1)
      assert.match(err, why)
    }
  })
})
