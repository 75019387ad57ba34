import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { clientAddress } from '../../src/http/client-address.ts'

const PROXY = '10.0.0.1'

/** What Node makes of a request with these lines of X-Forwarded-For. */
function addressOf(lines: readonly string[], trustedProxies: number, remoteAddress = PROXY) {
  const headers = lines.length === 0 ? {} : { 'x-forwarded-for': lines.join(', ') }
  const request = { headers, socket: { remoteAddress } } as Pick<
    IncomingMessage,
    'headers' | 'socket'
  >
  return clientAddress(request, trustedProxies)
}

describe('the address of a client', () => {
  it('is that of the socket where no proxy is trusted, whatever the header says', () => {
    assert.equal(addressOf(['203.0.113.8'], 0), PROXY)
    assert.equal(addressOf([], 0, '::ffff:192.0.2.1'), '192.0.2.1')
  })

  it('is the entry that the outermost trusted proxy wrote', () => {
    assert.equal(addressOf(['198.51.100.1, 203.0.113.8'], 1), '203.0.113.8')
    assert.equal(addressOf(['198.51.100.1, 203.0.113.8, 10.0.0.2'], 2), '203.0.113.8')
    assert.equal(addressOf(['198.51.100.1', '203.0.113.8,10.0.0.2'], 2), '203.0.113.8')
    assert.equal(addressOf(['203.0.113.8'], 2), '203.0.113.8')
  })

  it('has no port, so that another connection is no other client', () => {
    const addresses = [40_001, 40_002, 40_003].flatMap((port) => [
      addressOf([`203.0.113.8:${port}`], 1),
      addressOf([`"203.0.113.8:${port}"`], 1),
      addressOf([`[::ffff:203.0.113.8]:${port}`], 1),
    ])
    assert.deepEqual(new Set(addresses), new Set(['203.0.113.8']))
    assert.equal(addressOf(['[2001:db8::1]:40001'], 1), '2001:db8::1')
  })

  it('is that of the proxy where the header names no address', () => {
    for (const entry of ['unknown', '_hidden7', 'x1', '203.0.113.8:x', '', ' , ,', '[::1', '%'])
      assert.equal(addressOf([entry], 1), PROXY, entry)
    assert.equal(addressOf(['203.0.113.8, _hidden'], 1), PROXY)
  })

  it('is one and the same for all whose socket is gone', () => {
    assert.equal(addressOf([], 0, ''), 'unknown')
  })
})
