import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { oneIssuer } from '../../lab/one-issuer.ts'
import { loadConfig } from '../../src/config/load.ts'
import { longestToken, rotationPolicies } from '../../src/config/policies.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { outageCosts } from '../../src/relying-parties/outages.ts'
import { simulate } from '../../src/relying-parties/simulate.ts'
import { duration } from '../../src/relying-parties/story.ts'
import { docRow } from './document-rows.ts'

/** What documents say of relying parties, with the default configuration, is what the table comes to. */

const config = oneIssuer(loadConfig({ env: {} }))
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

describe('docs/relying-parties.md', () => {
  const text = document('relying-parties.md')
  const head = '| Such as | Keeps keys | Believes a revoked key | JWKS away | Waits |'
  const tables = text.split(head).slice(1)
  const rows = tables.flatMap((each) => rowsBelow(`${head}${each}`, head))

  it('says of each relying party what the table of models comes to', () => {
    assert.ok(tables.length >= 12)
    for (const row of rows) assert.equal(row, docRow(row.split(' | ')[0] ?? '', config.rotation))
  })

  it('has all of them, each once', () => {
    assert.deepEqual(
      rows.flatMap((row) => row.split(' | ')[0]?.split(', ') ?? []).toSorted(),
      RP_MODELS.flatMap(({ standsFor }) => standsFor.split(', ')).toSorted(),
    )
  })

  it('repeats in words what its tables say', () => {
    const [, waits, away] =
      /Spring waits (.+?) for the JWKS and refuses everything (.+?) after/.exec(text) ?? []
    const spring = docRow('Spring Security', config.rotation)
    assert.ok(spring.endsWith(`refuses all ${away} after its last fetch | ${waits}`))
    const [, keeps] =
      /reference configuration with njs\s+keeps keys for (.+?) whatever/.exec(text) ?? []
    assert.ok(docRow('NGINX reference configuration', config.rotation).includes(`| ${keeps} |`))
  })
})
