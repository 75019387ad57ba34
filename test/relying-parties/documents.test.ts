import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { longestToken, rotationPolicies } from '../../src/config/policies.ts'
import { outageCosts } from '../../src/relying-parties/outages.ts'
import { simulate } from '../../src/relying-parties/simulate.ts'
import { duration } from '../../src/relying-parties/story.ts'

/** What documents say of relying parties, with the default configuration, is what the table comes to. */

const config = loadConfig({ env: {} })
const document = (name: string) =>
  readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8')

/** Rows of the table with that head, without their bars. */
function rowsBelow(text: string, head: string): readonly string[] {
  const lines = text.slice(text.indexOf(head)).split('\n').slice(2)
  return lines.slice(0, lines.indexOf('')).map((line) => line.replace(/^\| | \|$/g, ''))
}

describe('docs/reliability.md', () => {
  it('has what the simulator says of each model', () => {
    const { models } = simulate({
      policies: rotationPolicies(config),
      ...config.rotation,
      staleIfError: 0,
      tokenLifetime: longestToken(config).lifetime,
    })
    assert.deepEqual(
      rowsBelow(document('reliability.md'), '| Model | Stands for | Verdict | Margin |'),
      models.map(({ model, standsFor, verdict, margin }) =>
        [`\`${model}\``, standsFor, verdict, margin === null ? '-' : duration(margin)].join(' | '),
      ),
    )
  })
})

describe('docs/operate.md', () => {
  it('has what an outage of the JWKS costs at the RPs that it names', () => {
    const costs = outageCosts(2 * 3600, config.rotation)
    const named = (rp: string) => {
      const exact = costs.filter(({ standsFor }) => standsFor.split(', ').includes(rp))
      if (exact.length > 0) return exact
      const kinds = costs.filter(({ standsFor }) =>
        standsFor.split(', ').some((each) => each.startsWith(rp)),
      )
      assert.ok(kinds.length > 0, rp)
      return kinds
    }
    const rows = rowsBelow(document('operate.md'), '| RP | If the JWKS cannot be had |')
    assert.equal(rows.length, 5)
    for (const row of rows) {
      const [names = '', text = ''] = row.split(' | ')
      const minutes = /(\d+) min after/.exec(text)?.[1]
      for (const cost of names.split(', ').flatMap(named)) {
        if (minutes) assert.equal(cost.allFrom, 60 * Number(minutes), cost.standsFor)
        else if (text.includes('unknown')) assert.ok(cost.endsByUnknownKid, cost.standsFor)
        else assert.equal(cost.refusesFor, 0, cost.standsFor)
      }
    }
  })
})
