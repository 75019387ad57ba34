import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { describe, it, mock, type TestContext } from 'node:test'
import { createHeldConnections } from '../../src/http/held-connections.ts'

/** The part of a socket that holding needs, which tells what happened to it. */
function fakeSocket() {
  const events = new EventEmitter()
  const socket = Object.assign(events, {
    state: 'open',
    pause: () => void Object.assign(socket, { state: 'paused' }),
    destroy: () => void Object.assign(socket, { state: 'closed' }),
  })
  return socket
}

const asSocket = (fake: ReturnType<typeof fakeSocket>) => fake as unknown as Socket

function mockTimers(test: TestContext): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  test.after(() => mock.timers.reset())
}

describe('a held connection', () => {
  it('is not read, and closed after three seconds', (test) => {
    mockTimers(test)
    const held = createHeldConnections()
    const socket = fakeSocket()
    held.hold(asSocket(socket))
    mock.timers.tick(2999)
    assert.equal(socket.state, 'paused')
    assert.equal(held.size, 1)
    mock.timers.tick(1)
    assert.equal(socket.state, 'closed')
    assert.equal(held.size, 0)
  })

  it('that its client closes is forgotten', (test) => {
    mockTimers(test)
    const held = createHeldConnections()
    const socket = fakeSocket()
    held.hold(asSocket(socket))
    socket.emit('close')
    assert.equal(held.size, 0)
    mock.timers.tick(3000)
    assert.equal(socket.state, 'paused')
  })

  it('is closed before, when there are more than 512 and it came first', (test) => {
    mockTimers(test)
    const held = createHeldConnections()
    const sockets = Array.from({ length: 514 }, fakeSocket)
    for (const socket of sockets) held.hold(asSocket(socket))
    assert.equal(held.size, 512)
    assert.deepEqual(
      sockets.map(({ state }) => state),
      sockets.map((_, index) => (index < 2 ? 'closed' : 'paused')),
    )
  })

  it('is closed at once with all others', (test) => {
    mockTimers(test)
    const held = createHeldConnections()
    const sockets = [fakeSocket(), fakeSocket()]
    for (const socket of sockets) held.hold(asSocket(socket))
    held.closeAll()
    assert.equal(held.size, 0)
    assert.ok(sockets.every(({ state }) => state === 'closed'))
  })
})
