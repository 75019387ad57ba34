import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { CLUSTER_FAULTS } from '../../drill/cluster-faults.ts'
import { skipCluster } from '../../drill/clusters.ts'
import { type DrillOptions, runDrill } from '../../drill/drill.ts'
import { FAULTS } from '../../drill/faults.ts'
import { type Report, renderMarkdown, renderTables } from '../../drill/report.ts'
import { findServices } from '../../lab/own-services.ts'

/** The short form of `npm run drill`: every fault once, and a sabotage that it must notice. */

const found = await findServices()
const missing = (['postgres', 'redis'] as const).filter((kind) => !found.has(kind))
const reason = missing.length > 0 && `not installed: ${missing.join(', ')}`
if (reason && process.env.CI) throw new Error(`the drill has to run here: ${reason}`)

function shortDrill(seed: number, overrides: Partial<DrillOptions> = {}): DrillOptions {
  return {
    ...{ seed, nodes: 2, database: 'postgres', hasRedis: true },
    ...{ rotations: 3, tokens: 200, faults: 1, rate: 15, minutes: 3, isShort: true },
    ...{ sabotage: undefined, logs: undefined, say: () => {} },
    signal: new AbortController().signal,
    ...overrides,
  }
}

describe('the drill', { skip: reason }, () => {
  it('injects every fault, and no valid token is refused and no request lost', async (t) => {
    const report = await runDrill(shortDrill(1))
    t.diagnostic(renderTables(report))
    assert.deepEqual(report.violations, [])
    const ofOneServer = FAULTS.filter((fault) => !CLUSTER_FAULTS.includes(fault))
    assert.deepEqual(Object.keys(report.faults).sort(), ofOneServer.map(({ name }) => name).sort())
    const covered = report.relyingParties.filter(({ isCovered }) => isCovered)
    assert.ok(covered.length > 15)
    for (const { name, verified } of covered) assert.ok(verified > 0, `${name} verified nothing`)
    assert.match(renderMarkdown(report), /No violation\.$/)
  })

  it('notices that a node signs with a ring that is too old', async (t) => {
    const report = await runDrill(shortDrill(2, { sabotage: 'ring-age' }))
    assert.match(firstRule(report, t), /JWKS lacks a live key|refused token|two signers/)
  })
})

for (const [database, calm, faults] of [
  ['galera', 12, ['Galera node killed', 'Galera node frozen', 'Galera without quorum']],
  ['postgres-ha', 4, ['failover right after a revocation']],
] as const) {
  describe(`the drill, on ${database},`, { skip: skipCluster(database) }, () => {
    it('answers with nothing worse than 503 while a part of the database is gone', async (t) => {
      const report = await runDrill(
        shortDrill(4, { database, hasRedis: false, nodes: 3, calm, only: faults, rate: 10 }),
      )
      t.diagnostic(renderTables(report))
      assert.deepEqual(report.violations, [])
      assert.deepEqual(Object.keys(report.faults).sort(), [...faults].sort())
      // Each request at another node than the one before, and none was refused.
      assert.equal(report.operations['in turn: sign-ins'], calm)
      assert.equal(report.operations['in turn: refreshes'], 4 * calm)
      assert.equal(report.operations['in turn: introspections'], 4 * calm)
    })
  })
}

describe('the drill, on SQLite,', () => {
  for (const sabotage of ['propagation', 'retention'] as const) {
    it(`notices a ${sabotage} that is too short`, async (t) => {
      const options = { sabotage, database: 'sqlite', hasRedis: false } as const
      assert.match(firstRule(await runDrill(shortDrill(3, options)), t), /refused token|JWKS lacks/)
    })
  }
})

function firstRule({ violations: [first] }: Report, t: TestContext): string {
  t.diagnostic(`${first?.after.toFixed(1)} s: ${first?.rule}: ${first?.detail}`)
  return first?.rule ?? 'none'
}
