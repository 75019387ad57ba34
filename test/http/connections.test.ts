import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it, mock } from 'node:test'
import { type ConnectionBound, watchConnections } from '../../src/http/connections.ts'
import { type Listener, listen } from '../../src/http/listener.ts'
import { LISTENER_LIMITS as LIMITS } from '../support/limits.ts'

const HEAD = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

describe('a connection', () => {
  it('whose client sends more requests than may wait is closed, and the rest is not looked at', async () => {
    const closed: ConnectionBound[] = []
    let begun = 0
    const listener = await listen(() => void begun++, {
      host: 'localhost',
      port: 0,
      limits: LIMITS,
      onClosed: (bound) => void closed.push(bound),
    })
    const socket = connect(Number(new URL(listener.url).port), 'localhost')
    socket.on('error', () => {})
    socket.write(HEAD.repeat(1500))
    socket.resume()
    await once(socket, 'close')
    assert.deepEqual(closed, ['requestsPerConnection'])
    assert.equal(begun, 0)
    await listener.close(0)
  })

  it('that a limit ended is held for a while, and gives its place to another', async () => {
    const closed: ConnectionBound[] = []
    const listener = await listen((_request, response) => void response.end('done'), {
      ...{ host: 'localhost', port: 0, limits: { ...LIMITS, connections: 1 } },
      onClosed: (bound) => void closed.push(bound),
    })
    const flood = openSocket(listener)
    flood.socket.write(HEAD.repeat(1500))
    while (closed.length === 0) await new Promise(setImmediate)
    assert.equal(listener.connections, 1)
    assert.equal(await (await fetch(listener.url)).text(), 'done')
    await flood.closed
    assert.equal(flood.text(), '')
    assert.deepEqual(closed, ['requestsPerConnection'])
    await listener.close(60)
  })

  it('whose client sends as many as may wait gets all answers, in order, again and again', async () => {
    let begun = 0
    const listener = await listen((_request, response) => void response.end(`#${begun++} `), {
      host: 'localhost',
      port: 0,
      limits: LIMITS,
    })
    const socket = connect(Number(new URL(listener.url).port), 'localhost')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    for (let round = 1; round <= 10; round++) {
      socket.write(HEAD.repeat(LIMITS.requestsPerConnection))
      while (!text.includes(`#${round * LIMITS.requestsPerConnection - 1} `)) {
        await once(socket, 'data')
      }
    }
    assert.deepEqual(
      text.match(/#\d+/g),
      Array.from({ length: 40 }, (_, index) => `#${index}`),
    )
    socket.destroy()
    await listener.close(0)
  })

  it('whose client sends its content in more chunks than allowed is closed, and in as many is answered', async (test) => {
    const closed: ConnectionBound[] = []
    const listener = await listen(
      (request, response) => {
        let length = 0
        request.on('error', () => {})
        request.on('data', (chunk) => {
          length += chunk.length
        })
        request.on('end', () => void response.end(`read ${length}.`))
      },
      {
        ...{ host: 'localhost', port: 0, limits: LIMITS },
        onClosed: (bound) => void closed.push(bound),
      },
    )
    test.after(() => listener.close(0))
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    const post = (chunks: number) => `${head}${'1\r\na\r\n'.repeat(chunks)}0\r\n\r\n`
    const few = openSocket(listener)
    for (let round = 1; round <= 3; round++) {
      few.socket.write(post(LIMITS.chunks - 1))
      while (few.text().split('read').length <= round) await once(few.socket, 'data')
    }
    assert.match(few.text(), /read 199\./)
    assert.deepEqual(closed, [])
    const tooMany = [post(LIMITS.chunks + 1), post(5000), post(90).repeat(3)].map(async (sent) => {
      const many = openSocket(listener)
      many.socket.write(sent)
      await many.closed
      assert.doesNotMatch(many.text(), /read 5000|(read.*){3}/s)
    })
    await Promise.all(tooMany)
    assert.deepEqual(closed, ['chunks', 'chunks', 'chunks'])
    few.socket.destroy()
  })

  it('counts requests with an unknown Expect, which is ignored, as all others', async (test) => {
    const closed: ConnectionBound[] = []
    const listener = await listen((_request, response) => void response.end('done'), {
      ...{ host: 'localhost', port: 0, limits: LIMITS },
      onClosed: (bound) => void closed.push(bound),
    })
    test.after(() => listener.close(0))
    const ask = 'GET / HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n'
    const one = openSocket(listener)
    one.socket.write(ask)
    while (!one.text().includes('done')) await once(one.socket, 'data')
    assert.match(one.text(), /^HTTP\/1\.1 200/)
    const flood = openSocket(listener)
    flood.socket.write(ask.repeat(1500))
    await flood.closed
    assert.deepEqual(closed, ['requestsPerConnection'])
    one.socket.destroy()
  })

  it('that asked for a tunnel is closed, whatever the client does', async (test) => {
    const listener = await listen(() => {}, { host: 'localhost', port: 0, limits: LIMITS })
    test.after(() => listener.close(0))
    const asking = openSocket(listener, { allowHalfOpen: true })
    asking.socket.write('CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(asking.socket, 'end')
    assert.match(asking.text(), /^HTTP\/1\.1 405/)
    while (listener.connections > 0) await new Promise(setImmediate)
    asking.socket.destroy()
  })

  it('is closed at the end of a stop though its client neither reads nor goes', async () => {
    const large = Buffer.alloc(64 * 1024 * 1024)
    const listener = await listen((_request, response) => void response.end(large), {
      ...{ host: 'localhost', port: 0, limits: LIMITS },
    })
    const asking = openSocket(listener, { allowHalfOpen: true })
    asking.socket.pause()
    asking.socket.write(`${HEAD}CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n`)
    while (listener.connections === 0) await new Promise(setImmediate)
    await listener.close(0.2)
    asking.socket.destroy()
  })

  it('of HTTP/1.0 with content in chunks is closed after the answer', async (test) => {
    let asked = 0
    const listener = await listen((_request, response) => void response.end(`#${++asked} `), {
      ...{ host: 'localhost', port: 0, limits: LIMITS },
    })
    test.after(() => listener.close(0))
    const { socket, closed, text } = openSocket(listener)
    const fields = 'Host: a\r\nConnection: keep-alive\r\n'
    socket.write(
      `POST / HTTP/1.0\r\n${fields}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n` +
        `GET / HTTP/1.0\r\n${fields}\r\n`,
    )
    await closed
    assert.match(text(), /#1 $/)
    assert.equal(asked, 1)
  })

  it('whose client does not read is closed when nothing has left for the time of the limit', (test) => {
    mock.timers.enable({ apis: ['setInterval'] })
    test.after(() => mock.timers.reset())
    const closed: ConnectionBound[] = []
    const connections = watchConnections({
      limits: LIMITS,
      handle: () => {},
      closeIdle: () => {},
      onClosed: (bound) => void closed.push(bound),
    })
    const stuck = fakeSocket()
    const slow = fakeSocket()
    const idle = fakeSocket()
    for (const socket of [stuck, slow, idle]) connections.add(socket as unknown as Socket)
    Object.assign(stuck, { writableLength: 1000, bytesWritten: 5000 })
    Object.assign(slow, { writableLength: 1000, bytesWritten: 5000 })
    for (let second = 0; second < 10; second++) {
      // One chunk of it was taken.
      Object.assign(slow, { bytesWritten: slow.bytesWritten + 10 })
      mock.timers.tick(1000)
    }
    assert.equal(stuck.destroyed, true)
    assert.equal(slow.destroyed, false)
    assert.equal(idle.destroyed, false)
    assert.deepEqual(closed, ['unread'])
    connections.stop()
  })

  it('beyond the most at once is closed, once idle ones have been asked to go', () => {
    const closed: ConnectionBound[] = []
    let idleClosed = 0
    const connections = watchConnections({
      limits: { ...LIMITS, connections: 2 },
      handle: () => {},
      closeIdle: () => void idleClosed++,
      onClosed: (bound) => void closed.push(bound),
    })
    const sockets = [fakeSocket(), fakeSocket(), fakeSocket(), fakeSocket()]
    for (const socket of sockets) connections.add(socket as unknown as Socket)
    assert.equal(idleClosed, 1)
    assert.deepEqual(
      sockets.map(({ destroyed }) => destroyed),
      [false, false, true, true],
    )
    assert.deepEqual(closed, ['connections', 'connections'])
    sockets[0]?.emit('close')
    const next = fakeSocket()
    connections.add(next as unknown as Socket)
    assert.equal(next.destroyed, false)
    connections.stop()
  })

  it('has the place of an idle one at once that was closed for it', () => {
    const closed: ConnectionBound[] = []
    const sockets = [fakeSocket(), fakeSocket(), fakeSocket(), fakeSocket()]
    const connections = watchConnections({
      limits: { ...LIMITS, connections: 2 },
      handle: () => {},
      closeIdle: () => sockets[0]?.destroy(),
      onClosed: (bound) => void closed.push(bound),
    })
    for (const socket of sockets) connections.add(socket as unknown as Socket)
    assert.deepEqual(
      sockets.map(({ destroyed }) => destroyed),
      [true, false, false, true],
    )
    assert.deepEqual(closed, ['connections'])
    assert.equal(connections.size, 2)
    connections.stop()
  })
})

describe('a client that asks for much and reads nothing', () => {
  it('loses its connection, and others are served', async (test) => {
    const large = Buffer.alloc(64 * 1024 * 1024)
    const closed = Promise.withResolvers<ConnectionBound>()
    const listener = await listen(
      ({ url }, response) => void response.end(url === '/large' ? large : 'small'),
      {
        host: 'localhost',
        port: 0,
        limits: { ...LIMITS, unread: 1 },
        onClosed: closed.resolve,
      },
    )
    test.after(() => listener.close(0))
    const socket = connect(Number(new URL(listener.url).port), 'localhost')
    test.after(() => void socket.destroy())
    socket.on('error', () => {})
    socket.pause()
    socket.write(HEAD.replace('/', '/large'))
    assert.equal(await closed.promise, 'unread')
    assert.equal(await (await fetch(listener.url)).text(), 'small')
  })
})

/** A client's socket, and what it has received. */
function openSocket(listener: Listener, options: { readonly allowHalfOpen?: boolean } = {}) {
  const port = Number(new URL(listener.url).port)
  const socket = connect({ port, host: 'localhost', ...options })
  socket.on('error', () => {})
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  return { socket, closed, text: () => text }
}

function fakeSocket() {
  const socket = Object.assign(new EventEmitter(), {
    writableLength: 0,
    bytesWritten: 0,
    destroyed: false,
    destroy: () => {
      socket.destroyed = true
    },
  })
  return socket
}
