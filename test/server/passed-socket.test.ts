import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { passedSocket } from '../../src/server/passed-socket.ts'

describe('the socket that is passed to a process', () => {
  it('is the first descriptor after the three standard ones', () => {
    assert.equal(passedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42), 3)
  })

  const REFUSED = [
    [{}, /no socket was passed to this process \(LISTEN_FDS is not set\)/],
    [
      { LISTEN_FDS: '1', LISTEN_PID: '41' },
      /passed to process 41 \(LISTEN_PID\), and this is .* 42/,
    ],
    [{ LISTEN_FDS: '1' }, /the unit must start node itself/],
    [{ LISTEN_FDS: '2', LISTEN_PID: '42' }, /2 sockets were passed/],
    [{ LISTEN_FDS: '0', LISTEN_PID: '42' }, /0 sockets were passed/],
    [{ LISTEN_FDS: '1x', LISTEN_PID: '42' }, /1x sockets were passed/],
  ] as const
  for (const [env, reason] of REFUSED) {
    it(`is refused with ${JSON.stringify(env)}`, () => {
      assert.throws(() => passedSocket(env, 42), { code: 'socket_not_passed', message: reason })
    })
  }
})
