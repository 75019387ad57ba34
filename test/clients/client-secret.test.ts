import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { OnForgery } from '../../src/artifacts/forgeries.ts'
import { compareSecret } from '../../src/clients/client-secret.ts'
import { testAuthentic } from '../support/authentic.ts'

const SECRET = 'a secret of forty characters, or of more'

async function rowOf(metadata: object, onForgery: OnForgery = () => {}) {
  const { clients } = await testAuthentic({ onForgery }).open()
  const row = clients.toRow({ client_id: 'app', ...metadata }, { source: 'operator', updatedAt: 1 })
  const known = clients.toClient(row)?.metadata.client_secret as string | undefined
  return { clients, row, known, stored: JSON.parse(row.metadata).client_secret }
}

describe('the secret of a client', () => {
  it('that the client sends is stored as a salted hash, which does not pass for the secret', async () => {
    for (const method of [undefined, 'client_secret_basic', 'client_secret_post']) {
      const more = method && { token_endpoint_auth_method: method }
      const { known, stored, row } = await rowOf({ client_secret: SECRET, ...more })
      assert.deepEqual(Object.keys(stored), ['hash'])
      assert.ok(!row.metadata.includes(SECRET))
      assert.equal(compareSecret(known, SECRET), true)
      for (const wrong of [stored.hash, known ?? '', '', `${SECRET} `, SECRET.slice(1)]) {
        assert.equal(compareSecret(known, wrong), false, wrong)
      }
      assert.equal(compareSecret(known, SECRET), true, 'remembered')
      const again = await rowOf({ client_secret: SECRET })
      assert.notEqual(again.stored.hash, stored.hash)
    }
  })

  it('that is a key, or short enough to be guessed from its hash, is stored encrypted', async () => {
    for (const [secret, more] of [
      [SECRET, { token_endpoint_auth_method: 'client_secret_jwt' }],
      [SECRET, { userinfo_signed_response_alg: 'HS256' }],
      [SECRET, { request_object_signing_alg: 'HS512' }],
      [SECRET, { id_token_encrypted_response_alg: 'dir' }],
      [SECRET, { introspection_encrypted_response_alg: 'A128KW' }],
      ['short', {}],
      ['x'.repeat(31), { token_endpoint_auth_method: 'client_secret_post' }],
    ] as const) {
      const { known, stored, row } = await rowOf({ client_secret: secret, ...more })
      assert.deepEqual(Object.keys(stored), ['sealed'], JSON.stringify(more))
      assert.ok(!row.metadata.includes(secret))
      assert.equal(known, secret)
      assert.equal(compareSecret(known, secret), true)
      assert.equal(compareSecret(known, `${secret}x`), false)
    }
  })

  it('that looks like a stored hash is refused', async () => {
    const client_secret = `hash-of-secret:sha256:${'A'.repeat(60)}`
    await assert.rejects(rowOf({ client_secret }), { code: 'client_secret_like_hash' })
  })

  it('copied into the row of another client makes that row invalid', async () => {
    const { stored, clients } = await rowOf({ client_secret: 'short' })
    const other = clients.toRow({ client_id: 'other' }, { source: 'operator', updatedAt: 1 })
    assert.ok(clients.toClient(other))
    const metadata = JSON.stringify({ client_id: 'other', client_secret: stored })
    assert.equal(clients.toClient({ ...other, metadata }), undefined)
  })

  it('counts as unchanged when a start writes the same configuration again', async () => {
    const metadata = { client_id: 'app', client_secret: SECRET, client_name: 'App' }
    const { clients, row } = await rowOf(metadata)
    const from = (changes: object) => clients.isSame(row, { ...metadata, ...changes }, 'operator')
    assert.equal(from({}), true)
    assert.equal(from({ client_secret: `${SECRET}!` }), false)
    assert.equal(from({ client_secret: undefined }), false)
    assert.equal(from({ client_name: 'Other' }), false)
    assert.equal(clients.isSame(row, metadata, 'config'), false)
    assert.equal(clients.isSame(null, metadata, 'operator'), false)
  })
})
