import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { skipPostgresPair, startPostgresPair } from '../../lab/postgres-pair.ts'
import { keyturnIn, type Row } from '../cli/keyturn.ts'

describe('PostgreSQL with a synchronous standby', { skip: skipPostgresPair }, () => {
  it('keeps a revocation whose command has answered, whatever becomes of the primary', async () => {
    await using pair = await startPostgresPair()
    await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: pair.url() })
    await cli.withStores(async () => {})
    await cli.makeRings(0)
    const revoked = new Set<string>()
    for (const ring of ['sig/RS256', 'sig/ES256']) {
      if (revoked.size > 0) await pair.rebuild()
      const keys = await cli.json<Row[]>(['keys', 'list'])
      const active = keys.find((key) => key.ring === ring && key.phase === 'active')
      assert.ok(active)
      const { status, err } = await cli.run(['keys', 'revoke', active.kid, '--reason', 'a test'])
      assert.equal(status, 0, err)
      await pair.failOver()
      revoked.add(active.kid)
      const after = await cli.json<Row[]>(['keys', 'list'])
      for (const { kid, phase } of after.filter((key) => revoked.has(key.kid))) {
        assert.equal(phase, 'revoked', kid)
      }
      assert.equal(after.filter((key) => revoked.has(key.kid)).length, revoked.size)
    }
  })
})
