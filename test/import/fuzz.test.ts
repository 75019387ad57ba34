import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fuzzImports } from '../../fuzz/import-fuzz.ts'
import { type FuzzTarget, importTargets } from '../../fuzz/import-targets.ts'
import { withoutVectors } from '../../lab/vectors.ts'

/** The short form of `npm run fuzz:imports`. */

/** Inputs of each target: enough for most ways of being wrong to be met. */
const INPUTS = 300
/** Milliseconds for each megabyte of an input, on a machine that does other work besides. */
const PATIENCE = 20_000

const targets: readonly FuzzTarget[] = withoutVectors ? [] : await importTargets()

describe('a file of another system that was changed', { skip: withoutVectors }, () => {
  for (const target of targets.filter(({ name }) => name !== 'key file under a password')) {
    it(`is read or refused with a code, and no message tells a secret: ${target.name}`, async () => {
      const { codes, failures } = await fuzzImports({
        ...{ targets: [target], inputs: INPUTS, seed: 14, patience: PATIENCE },
      })
      assert.deepEqual(
        failures.map(({ what, file, bytes }) => ({ what, file, bytes: bytes.toString('latin1') })),
        [],
      )
      const { read = 0, ...refusals } = codes[target.name] ?? {}
      assert.ok(read > 0, 'some changes leave a key as it was')
      const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0)
      assert.ok(refused > INPUTS / 10, `only ${refused} of ${INPUTS} were refused`)
    })
  }
})
