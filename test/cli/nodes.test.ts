import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startTestServer } from '../../lab/server.ts'
import { systemClock } from '../../src/clock.ts'
import type { NodeReport } from '../../src/nodes/node.ts'
import { keyturnIn } from './keyturn.ts'

interface Row extends Omit<NodeReport, 'seenAt' | 'startedAt'> {
  readonly state: string
  readonly lacks: readonly string[]
}

describe('keyturn nodes list', () => {
  it('says that no node runs', async () => {
    await using cli = await keyturnIn()
    const { out } = await cli.run(['nodes', 'list'])
    assert.match(out, /No node runs/)
    assert.deepEqual(await cli.json(['nodes', 'list']), [])
  })

  it('shows a running server with its ring, and no longer after it stopped', async () => {
    await using keyturn = await startTestServer({ settings: { management: { port: 0 } } })
    await using cli = await keyturnIn({
      KEYTURN_DATABASE__URL: keyturn.config.database.url,
      KEYTURN_SEAL__FILE: keyturn.config.seal.file,
      KEYTURN_ISSUER: keyturn.config.issuer,
    })
    const list = () => cli.json<Row[]>(['nodes', 'list'])
    let [node] = await list()
    for (let i = 0; i < 100 && !node; i++) {
      await new Promise((resolve) => setImmediate(resolve))
      ;[node] = await list()
    }
    assert.equal(node?.state, 'live')
    assert.equal(node.kids.length, 6)
    assert.deepEqual(node.lacks, [])
    const health = await fetch(`${keyturn.server.managementUrl}/health/ready`)
    assert.match(await health.text(), /1 live, 0 halted, 0 silent/)
    const metrics = await fetch(`${keyturn.server.managementUrl}/metrics`)
    assert.match(await metrics.text(), /^keyturn_nodes\{state="live"\} 1$/m)
    await keyturn.server.close()
    assert.deepEqual(await list(), [])
  })

  it('distinguishes nodes that are silent, halted, lack a key or serve another issuer', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(7200)
    const kids = (await cli.json(['keys', 'list'])).map((row) => row.kid)
    const now = systemClock.now()
    const { issuer } = cli.config
    const report = {
      ...{ version: '0.9', issuer, startedAt: now - 89_000, seenAt: now, ringHash: 'abcdefghijk' },
      ...{ ringAge: 4, clockOffset: 0.126, kids, obstacle: null },
    }
    await cli.withStores(async ({ nodes }) => {
      await nodes.report({ ...report, id: 'a-good' })
      await nodes.report({ ...report, id: 'b-late', kids: kids.slice(1) })
      await nodes.report({ ...report, id: 'c-old', obstacle: 'Its clock is wrong.' })
      await nodes.report({ ...report, id: 'd-gone', seenAt: now - 1000, clockOffset: null })
      await nodes.report({ ...report, id: 'e-other', issuer: 'https://staging.example' })
    })
    const rows = await cli.json<Row[]>(['nodes', 'list'])
    assert.deepEqual(
      rows.map(({ id, state, lacks }) => [id, state, lacks.length]),
      [
        ['a-good', 'live', 0],
        ['b-late', 'live', 1],
        ['c-old', 'halted', 0],
        ['d-gone', 'silent', 0],
        ['e-other', 'live', 0],
      ],
    )
    const { out } = await cli.run(['nodes', 'list'])
    assert.match(
      out,
      /b-late +live +0\.9 +1 d 1 h +.*abcdefgh, 4 s old +\+0\.13 s +lacks sig\/RS256 1/,
    )
    assert.match(out, /c-old .*Its clock is wrong/)
    assert.match(out, /e-other .*serves https:\/\/staging\.example/)
  })
})
