import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPasswords, generatePassword } from '../../src/accounts/password.ts'
import { StoreUnreadable } from '../../src/errors.ts'

/** Lowest parameters of Argon2, because these tests are about form and not about cost. */
const CHEAP = { memoryKiB: 64, passes: 1, parallelism: 1 }
const passwords = createPasswords(CHEAP)

describe('passwords', () => {
  it('writes a PHC string that names algorithm, version and parameters', async () => {
    const stored = await passwords.hash('correct horse')
    assert.match(stored, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  })

  it('verifies the right password and no other', async () => {
    const stored = await passwords.hash('correct horse')
    assert.equal(await passwords.verify('correct horse', stored), true)
    for (const wrong of ['correct Horse', 'correct horse ', '', 'x'.repeat(10_000)])
      assert.equal(await passwords.verify(wrong, stored), false)
  })

  it('stores the same password differently each time, because of the salt', async () => {
    assert.notEqual(await passwords.hash('same'), await passwords.hash('same'))
  })

  it('agrees with the test vector of the reference implementation', async () => {
    // argon2 "somesalt" -id -t 2 -m 8 (256 KiB) -p 1, from phc-winner-argon2's test.c
    const stored =
      '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'
    assert.equal(await passwords.verify('password', stored), true)
  })

  it('verifies the same password from another keyboard (NFKC)', async () => {
    const stored = await passwords.hash('caf\u00e9 \ufb01n')
    assert.equal(await passwords.verify('cafe\u0301 fin', stored), true)
  })

  it('verifies with the parameters of the stored string and asks for a rehash', async () => {
    const stored = await createPasswords({ ...CHEAP, memoryKiB: 128 }).hash('correct horse')
    assert.equal(await passwords.verify('correct horse', stored), true)
    assert.equal(passwords.needsRehash(stored), true)
    assert.equal(passwords.needsRehash(await passwords.hash('correct horse')), false)
  })

  it('makes decoys of the same cost that no password matches', async () => {
    const decoy = passwords.decoy()
    assert.equal(passwords.needsRehash(decoy), false)
    assert.equal(decoy.length, (await passwords.hash('x')).length)
    assert.equal(await passwords.verify('', decoy), false)
  })

  it('throws for an unreadable stored string instead of calling the password wrong', async () => {
    for (const stored of ['', 'secret', '$2b$10$abc', '$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA'])
      await assert.rejects(passwords.verify('secret', stored), StoreUnreadable)
  })
})

describe('generatePassword', () => {
  it('makes readable passwords of 20 characters without look-alikes', () => {
    for (let count = 0; count < 100; count += 1)
      assert.match(generatePassword(), /^([2-9a-hjkmnp-z]{5}-){3}[2-9a-hjkmnp-z]{5}$/)
  })

  it('never makes the same one twice', () => {
    const made = new Set(Array.from({ length: 1000 }, generatePassword))
    assert.equal(made.size, 1000)
  })
})
