import assert from 'node:assert/strict'
import { Agent, get, type IncomingMessage } from 'node:http'
import { it } from 'node:test'
import { startBalancer } from '../../drill/balancer.ts'
import { freePort } from '../../lab/free-port.ts'

it('the balancer of the drill leaves it to its clients to close a connection that is idle', async (t) => {
  await using balancer = await startBalancer({
    port: await freePort(),
    onLost: () => {},
    onRetry: () => {},
  })
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(balancer.url, { agent }, resolve).on('error', reject)
  })
  answer.resume()
  assert.equal(answer.headers.connection, 'keep-alive')
  assert.equal(answer.headers['keep-alive'], undefined, 'it announces when it will close')
})
