import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { longestToken, rotationPolicies } from '../../src/config/policies.ts'
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
