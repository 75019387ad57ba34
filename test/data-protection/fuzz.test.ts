import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fuzzKeyRing } from '../../fuzz/key-ring.ts'
import { withoutVectors } from '../../lab/vectors.ts'
import { openDirectoryStore } from '../../src/data-protection/directory-store.ts'
import { certificatesOf, ENTRIES, readVector, storedElements, VECTORS } from './vectors.ts'

describe('mutated elements of a ring', { skip: withoutVectors }, () => {
  it('are read or refused by a code, and no good key is lost for them', async () => {
    const corpus: string[] = []
    for (const entry of ENTRIES) {
      if (entry.kind !== 'directory') {
        corpus.push(...(storedElements(entry) as string[]))
        continue
      }
      const { elements } = await openDirectoryStore(join(VECTORS, entry.file)).read()
      for (const { content } of elements)
        if (content && 'text' in content) corpus.push(content.text)
    }
    const { texts } = readVector<{ texts: { good: string } }>('malformed.json')
    const report = await fuzzKeyRing({
      corpus,
      certificates: ENTRIES.flatMap((entry) => certificatesOf(entry)).slice(0, 1),
      good: texts.good,
      now: () => new Date('2026-11-15T00:00:00Z'),
      inputs: 2000,
      seed: 14,
    })
    assert.deepEqual(report.failures, [])
    // Most ways of being wrong are reached, or the fuzzer would say little.
    for (const code of [
      ...['read', 'xml_malformed', 'xml_doctype', 'element_unknown', 'key_id_invalid'],
      ...['key_date_invalid', 'descriptor_invalid', 'algorithm_unknown', 'secret_invalid'],
      ...[
        'secret_undecryptable',
        'certificate_missing',
        'encryptor_foreign',
        'revocation_unreadable',
      ],
    ]) {
      assert.ok(report.codes[code], `${code} in ${JSON.stringify(report.codes)}`)
    }
  })
})
