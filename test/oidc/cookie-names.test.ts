import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cookieNames } from '../../src/oidc/cookie-names.ts'

describe('names of cookies', () => {
  it('are the same for one issuer and other ones for each', () => {
    const issuers = [
      ...['http://localhost:3000', 'http://localhost:3002', 'https://host.example'],
      ...['https://host.example/one', 'https://host.example/other', 'https://host.example:8443'],
    ]
    const all = issuers.flatMap((issuer) => Object.values(cookieNames(issuer)))
    assert.equal(new Set(all).size, issuers.length * 4)
    assert.deepEqual(cookieNames('https://host.example'), cookieNames('https://host.example'))
  })

  it('bind the session to its host, and the others to TLS, where the issuer has it', () => {
    for (const issuer of ['https://host.example', 'https://host.example/below']) {
      const { session, ...others } = cookieNames(issuer)
      assert.match(session, /^__Host-keyturn_[\da-f]{8}$/)
      for (const name of Object.values(others)) assert.match(name, /^__Secure-keyturn_[a-z]+_/)
    }
    for (const name of Object.values(cookieNames('http://localhost:3000'))) {
      assert.match(name, /^keyturn_/)
    }
  })
})
