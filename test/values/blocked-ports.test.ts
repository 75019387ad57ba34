import assert from 'node:assert/strict'
import { it } from 'node:test'
import { blockedPort } from '../../src/values/blocked-ports.ts'

/** Tells whether `fetch` refuses a URL because of its port; it opens no connection. */
async function isRefused(url: string): Promise<boolean> {
  const dispatcher = {
    dispatch: () => {
      throw new Error('the port was allowed')
    },
  }
  try {
    await fetch(url, { dispatcher } as unknown as RequestInit)
  } catch (error) {
    return ((error as Error).cause as Error).message === 'bad port'
  }
  throw new Error('nothing answers')
}

it('the ports that fetch refuses, and no others', async () => {
  for (let port = 1; port <= 11_000; port++) {
    const url = `http://localhost:${port}`
    assert.equal(blockedPort(url), (await isRefused(url)) ? port : undefined)
  }
  assert.equal(blockedPort('https://id.example'), undefined)
  assert.equal(blockedPort('https://id.example:10080/tenant'), 10_080)
})
