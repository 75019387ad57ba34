import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { DAY, keyturnIn, type Row } from './keyturn.ts'

/** A key that was added to verify gets its private half: `keys add` of the same kid. */

interface Shown {
  readonly keys: readonly { readonly kid: string; readonly phase: string }[]
}

const END = '2099-01-01T00:00:00Z'

async function jwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' }
}

async function scene(whole: JWK) {
  const cli = await keyturnIn()
  const file = async (suffix: string, key: JWK) => {
    const path = join(cli.path, `${suffix}.json`)
    await writeFile(path, JSON.stringify({ keys: [key] }))
    return path
  }
  const { d: _, ...half } = whole
  const [pub, priv] = [await file('public', half), await file('private', whole)]
  const rows = async () =>
    (await cli.json(['keys', 'list'])).filter((row: Row) => row.ring === 'sig/ES256')
  const phases = async () => (await rows()).map(({ kid, phase }) => [kid, phase])
  const validate = () =>
    cli.json<Shown>([...['keys', 'add', pub, '--as', 'validation', '--not-after', END, '--apply']])
  return { cli, file, pub, priv, rows, phases, validate }
}

describe('a key that was added to verify', () => {
  it('signs at once with its private half, where no other key does', async () => {
    const { cli, priv, phases, validate } = await scene(await jwk('theirs'))
    await using _folder = cli
    await validate()
    assert.deepEqual(await phases(), [['theirs', 'retired']])
    const { keys } = await cli.json<Shown>(['keys', 'add', priv, '--as', 'active', '--apply'])
    assert.deepEqual(
      keys.map(({ kid, phase }) => [kid, phase]),
      [['theirs', 'active']],
    )
    assert.deepEqual(await phases(), [['theirs', 'active']])
  })

  it('waits as standby in a ring that signs, published as before, and is doubled by no repetition', async () => {
    const { cli, priv, rows, phases, validate } = await scene(await jwk('theirs'))
    await using _folder = cli
    await cli.makeRings(20 * DAY)
    await validate()
    const before = (await rows()).map(({ kid }) => kid).toSorted()
    const args = ['keys', 'add', priv, '--as', 'standby', '--apply']
    const preview = await cli.run(args.slice(0, -1))
    assert.equal(preview.status, 0, preview.err)
    assert.match(preview.out, /Relying parties will see .*: .*theirs signs from 20/)
    assert.deepEqual((await rows()).map(({ kid }) => kid).toSorted(), before, 'a preview')
    for (const _ of [1, 2]) {
      await cli.json<Shown>(args)
      assert.deepEqual((await rows()).map(({ kid }) => kid).toSorted(), before)
      assert.deepEqual((await phases()).at(-1), ['theirs', 'pre-active'])
    }
  })

  it('does not sign before relying parties have known it for long enough', async () => {
    const { cli, priv, phases, validate } = await scene(await jwk('theirs'))
    await using _folder = cli
    await cli.makeRings(20 * DAY)
    await validate()
    const before = await phases()
    const { status, err } = await cli.run(['keys', 'add', priv, '--as', 'active', '--apply'])
    assert.equal(status, 1)
    assert.match(err, /^key_too_new: .* of the 14 d that relying parties need.*\n$/)
    assert.deepEqual(await phases(), before)
  })

  it('is published until the end that it was given, however soon it retires', async () => {
    const { cli, priv, validate } = await scene(await jwk('theirs'))
    await using _folder = cli
    await validate()
    await cli.json(['keys', 'add', priv, '--as', 'active', '--apply'])
    const file = join(cli.path, 'next.json')
    await writeFile(file, JSON.stringify({ keys: [await jwk('next')] }))
    await cli.json(['keys', 'import', 'jwks', file, '--signer', 'imported', '--apply'])
    const rows = await cli.json(['keys', 'list'])
    const theirs = rows.find(({ kid }) => kid === 'theirs')
    assert.deepEqual([theirs?.phase, theirs?.unpublishAt], ['retired', END])
  })

  it('stays as it is where another key of its kid comes, or its own for another algorithm', async () => {
    const { cli, file, phases, validate } = await scene(await jwk('theirs'))
    await using _folder = cli
    await validate()
    const other = await file('other', await jwk('theirs'))
    const { status, err } = await cli.run(['keys', 'add', other, '--as', 'active', '--apply'])
    assert.equal(status, 1)
    assert.match(err, /^kid_taken: .*another one/)
    assert.deepEqual(await phases(), [['theirs', 'retired']])
  })

  it('takes over with an import that has its private half, if that is to sign', async () => {
    const { cli, priv, phases, validate } = await scene(await jwk('theirs'))
    await using _folder = cli
    await cli.makeRings(20 * DAY)
    await validate()
    const args = ['keys', 'import', 'jwks', priv, '--apply']
    assert.match((await cli.run(args)).err, /^signer_undecided: /)
    await cli.json([...args, '--signer', 'present'])
    assert.deepEqual(
      (await phases()).filter(([kid]) => kid === 'theirs'),
      [['theirs', 'retired']],
    )
    await cli.json([...args, '--signer', 'imported'])
    assert.deepEqual(
      (await phases()).filter(([kid]) => kid === 'theirs'),
      [['theirs', 'active']],
    )
  })
})
