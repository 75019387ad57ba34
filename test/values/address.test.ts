import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { networksOf, parseAddress, parseNode } from '../../src/values/address.ts'

describe('an address', () => {
  const spellings: readonly [string, string][] = [
    ['203.0.113.8', '203.0.113.8'],
    ['::ffff:203.0.113.8', '203.0.113.8'],
    ['::FFFF:cb00:7108', '203.0.113.8'],
    ['0:0:0:0:0:ffff:203.0.113.8', '203.0.113.8'],
    ['64:ff9b::203.0.113.8', '203.0.113.8'],
    ['2001:0DB8:0000:0001:0000:0000:0000:0002', '2001:db8:0:1::2'],
    ['2001:db8::1:0:0:0:2', '2001:db8:0:1::2'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
  ]
  for (const [text, address] of spellings) {
    it(`written ${text} is ${address}`, () => assert.equal(parseAddress(text), address))
  }

  it('is nothing that only looks like one', () => {
    for (const text of [
      '',
      'unknown',
      '_hidden',
      '203.0.113',
      '203.0.113.256',
      '0203.0.113.8',
      '0xcb.0.113.8',
      '3405803784',
      '2001:db8::1::2',
      '2001:db8:0:1:2:3:4:5:40001',
      '[::1]',
      'fe80::1%a%b',
      ' 203.0.113.8',
      'example.com',
    ])
      assert.equal(parseAddress(text), undefined, text)
  })
})

describe('the node that a proxy names', () => {
  const nodes: readonly [string, string][] = [
    ['203.0.113.8:40001', '203.0.113.8'],
    ['203.0.113.8:_a.b-c', '203.0.113.8'],
    [' 203.0.113.8 ', '203.0.113.8'],
    ['"203.0.113.8:80"', '203.0.113.8'],
    ['[2001:db8:cafe::17]', '2001:db8:cafe::17'],
    ['"[2001:db8:cafe::17]:4711"', '2001:db8:cafe::17'],
    ['[2001:DB8:cafe::17]:_port', '2001:db8:cafe::17'],
    ['[::ffff:203.0.113.8]:443', '203.0.113.8'],
    ['[fe80::1%25eth0]:1', 'fe80::1'],
    ['2001:db8:cafe::17', '2001:db8:cafe::17'],
  ]
  for (const [node, address] of nodes) {
    it(`${node} has the address ${address}`, () => assert.equal(parseNode(node), address))
  }

  it('has no address where it is unknown, hidden or nonsense', () => {
    for (const node of [
      'unknown',
      '_gazonk',
      '',
      '203.0.113.8:evil',
      '203.0.113.8:123456',
      '203.0.113.8:1:2',
      '[203.0.113.8]:80',
      '[2001:db8::17',
      '[]:80',
      '<script>',
    ])
      assert.equal(parseNode(node), undefined, node)
  })
})

describe('the networks of an address', () => {
  it('are its /64, its /56 and its /48', () => {
    assert.deepEqual(networksOf('2001:db8:1:ab12:3:4:5:6'), {
      address: '2001:db8:1:ab12::/64',
      site: '2001:db8:1:ab00::/56',
      network: '2001:db8:1::/48',
    })
  })

  it('are itself and its /24 for IPv4, however that was written or carried', () => {
    for (const text of [
      '203.0.113.8',
      '::ffff:203.0.113.8',
      '64:ff9b::cb00:7108',
      '2002:cb00:7108::1',
    ])
      assert.deepEqual(networksOf(text), {
        address: '203.0.113.8/32',
        site: '203.0.113.8/32',
        network: '203.0.113.0/24',
      })
  })

  it('are one for all whose address is not known', () => {
    const unknown = { address: 'unknown', site: 'unknown', network: 'unknown' }
    assert.deepEqual(networksOf('unknown'), unknown)
  })
})
