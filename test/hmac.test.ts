import assert from 'node:assert/strict'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { createHmacSha256, isSameText } from '../src/hmac.ts'

describe('HMAC-SHA-256', () => {
  it("is Node's, for keys and texts of every length", () => {
    for (const bytes of [1, 32, 63, 64, 65, 200]) {
      const key = createSecretKey(randomBytes(bytes))
      const hmac = createHmacSha256(key)
      // A long one between short ones: the buffer grows, and nothing of it is left behind.
      for (const text of ['', 'a', 'ä€𝄞', '\ud800', 'x'.repeat(4096), '€'.repeat(9000), 'b']) {
        const expected = createHmac('sha256', key).update(text).digest('base64url')
        assert.equal(hmac(text), expected, `${bytes} bytes, ${text.length} characters`)
      }
    }
  })
})

describe('two texts', () => {
  it('are the same if every character is', () => {
    assert.ok(isSameText('', ''))
    assert.ok(isSameText('aä', 'aä'))
    for (const other of ['', 'a', 'aa', 'ab', 'aäa']) assert.ok(!isSameText('aä', other), other)
  })
})
