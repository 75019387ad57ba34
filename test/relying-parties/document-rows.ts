import assert from 'node:assert/strict'
import type { Settings } from '../../src/config/schema.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { outageCosts } from '../../src/relying-parties/outages.ts'
import { revocationPrice } from '../../src/relying-parties/price.ts'
import { endInWords, endlessInWords } from '../../src/relying-parties/price-words.ts'
import { duration } from '../../src/relying-parties/story.ts'
import { keepsInWords } from '../../src/relying-parties/words.ts'

/**
 * A row of the tables in `docs/relying-parties.md`, without its outer bars.
 * @param names of relying parties of one model, with commas between
 */
export function docRow(names: string, rotation: Settings['rotation']): string {
  const model = RP_MODELS.find(({ standsFor }) =>
    names.split(', ').every((name) => standsFor.split(', ').includes(name)),
  )
  assert.ok(model, `no model stands for ${names}`)
  const price = revocationPrice(rotation).find(({ models }) => models.includes(model.name))
  const cost = outageCosts(Infinity, rotation, [model])[0]
  assert.ok(price && cost)
  const trust = price.trustsFor === null ? endlessInWords(price) : duration(price.trustsFor)
  const end =
    price.endsBy === 'restart' || price.endsBy === 'operator' ? '' : `: ${endInWords(price)}`
  const away =
    cost.allFrom === null ? 'goes on' : `refuses all ${duration(cost.allFrom)} after its last fetch`
  const kid = cost.endsByUnknownKid ? '; all at once with an unknown kid' : ''
  const waits = cost.waitsFor === null ? '-' : duration(cost.waitsFor)
  return [
    names,
    keepsInWords(model),
    trust + end,
    away.replace('all 0 s after its last fetch', 'all') + kid,
    waits,
  ].join(' | ')
}
