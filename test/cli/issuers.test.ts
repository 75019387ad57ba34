import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyturnIn } from './keyturn.ts'

const ONE = 'https://one.example'
const TWO = 'https://two.example/tenant'
const SEVERAL = {
  KEYTURN_ISSUERS: JSON.stringify([{ issuer: ONE }, { issuer: TWO, admin: { username: 'chief' } }]),
}

describe('commands with several issuers in the configuration', () => {
  it('are refused without --issuer, with a list of issuers', async () => {
    await using cli = await keyturnIn(SEVERAL)
    await cli.run(['db', 'migrate'])
    for (const command of [
      ['keys', 'list'],
      ['clients', 'list'],
      ['accounts', 'list'],
      ['simulate'],
    ]) {
      const { status, err } = await cli.run(command)
      assert.equal(status, 1, command.join(' '))
      assert.match(err, /2 issuers/)
      assert.ok(err.includes(ONE) && err.includes(TWO) && err.includes('keyturn --issuer'))
    }
    const unknown = await cli.run(['--issuer', 'https://three.example', 'keys', 'list'])
    assert.equal(unknown.status, 1)
    assert.match(unknown.err, /no issuer https:\/\/three.example/)
    assert.match(unknown.err, /\nSee: /, 'no issuer of the list has words behind it')
    const unnamed = await cli.run(['--issuer', '', 'keys', 'list'])
    assert.match(unnamed.err, /no issuer ""\. It has:/)
  })

  it('change only the issuer that is named', async () => {
    await using cli = await keyturnIn(SEVERAL)
    await cli.run(['db', 'migrate'])
    const add = ['accounts', 'add', 'ada', '--json']
    assert.equal((await cli.run(['--issuer', ONE, ...add])).status, 0)
    assert.equal((await cli.run(['--issuer', TWO, ...add])).status, 0, 'the name is free there')
    assert.equal((await cli.run(['--issuer', ONE, 'accounts', 'remove', 'ada'])).status, 0)
    const people = async (issuer: string) => cli.json(['--issuer', issuer, 'accounts', 'list'])
    assert.deepEqual([(await people(ONE)).length, (await people(TWO)).length], [0, 1])
    const plan = await cli.json<{ issuer: string }>(['--issuer', TWO, 'keys', 'plan'])
    assert.equal(plan.issuer, TWO)
  })

  it('about the whole deployment need no --issuer', async () => {
    await using cli = await keyturnIn(SEVERAL)
    assert.equal((await cli.run(['db', 'migrate'])).status, 0)
    assert.equal((await cli.run(['config', 'check'])).status, 0)
    assert.equal((await cli.run(['db', 'status'])).status, 0)
  })

  it('about the whole deployment refuse an --issuer that there is not', async () => {
    await using cli = await keyturnIn(SEVERAL)
    for (const command of [['config', 'check'], ['db', 'status'], ['backup', 'b'], ['serve']]) {
      const { status, err } = await cli.run(['--issuer', 'https://three.example', ...command])
      assert.equal(status, 1, command.join(' '))
      assert.match(err, /no issuer https:\/\/three.example/)
    }
  })
})
