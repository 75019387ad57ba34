import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { NOTHING_WITNESSED, type Witness, witnessed } from '../../src/witness/witness.ts'
import { testsWith } from '../support/with-opened.ts'
import { revocation, seen } from '../support/witness.ts'

/** What a test of a witness needs: a fresh one, opened twice as two processes would. */
export interface WitnessUnderTest {
  readonly witness: Witness
  /** A second handle on the same; the same object where it has no outside. */
  readonly other: Witness
  /** The text that is kept, and what puts another in its place; absent where there is none. */
  readonly text?: { read(): Promise<string>; write(text: string): Promise<void> }
  readonly close: () => Promise<void>
}

/** The contract of `Witness`, for every implementation. */
export function testWitness(name: string, open: () => Promise<WitnessUnderTest>): void {
  const test = testsWith(open)

  describe(`the ${name} witness`, () => {
    test('does not exist at first', async ({ witness, other }) => {
      assert.equal(await witness.read(), undefined)
      assert.equal(await other.read(), undefined)
    })

    test('remembers whole events and generations, for every process', async ({
      witness,
      other,
    }) => {
      const facts = seen({
        deployments: ['d'],
        events: [revocation('a'), revocation('b')],
        generations: { 'sig/ES256': 7, cookie: 2 },
      })
      const written = await witness.update((before) => witnessed(before, facts))
      assert.deepEqual(written, {
        ...NOTHING_WITNESSED,
        deployment: 'd',
        issuer: 'https://id.example.com',
        events: [revocation('a'), revocation('b')],
        generations: { 'sig/ES256': 7, cookie: 2 },
      })
      assert.deepEqual(await other.read(), written)
      assert.deepEqual(await witness.read(), written)
    })

    test('is begun by an update that has nothing to say', async ({ witness, other }) => {
      await witness.update((before) => before)
      assert.deepEqual(await other.read(), NOTHING_WITNESSED)
    })

    test('hands each update what the one before left', async ({ witness, other }) => {
      for (const [index, handle] of [witness, other, witness, other].entries()) {
        const generations = { 'sig/ES256': index + 1 }
        await handle.update((before) => {
          assert.equal(before.generations['sig/ES256'] ?? 0, index)
          return witnessed(before, seen({ generations }))
        })
      }
    })

    test('loses nothing of what many add at once', async ({ witness, other }) => {
      const kids = Array.from({ length: 24 }, (_, index) => `kid-${index}`)
      await Promise.all(
        kids.map((kid, index) =>
          (index % 2 ? witness : other).update((before) =>
            witnessed(
              before,
              seen({ events: [revocation(kid)], generations: { 'sig/ES256': index + 1 } }),
            ),
          ),
        ),
      )
      const record = await witness.read()
      assert.deepEqual(
        record?.events.map(({ id }) => id).sort(),
        kids.map((k) => `revoke/${k}`).sort(),
      )
      assert.equal(record?.generations['sig/ES256'], kids.length)
    })

    test('writes nothing where an update throws', async ({ witness, other }) => {
      await witness.update((before) => witnessed(before, seen({ generations: { cookie: 1 } })))
      const before = await other.read()
      const failing = witness.update(() => {
        throw new TypeError('the test says no')
      })
      await assert.rejects(failing)
      assert.deepEqual(await other.read(), before)
      await other.update((record) => witnessed(record, seen({ generations: { cookie: 2 } })))
      assert.deepEqual((await witness.read())?.generations, { cookie: 2 })
    })

    const damages: readonly (readonly [string, (text: string) => string])[] = [
      ['cut off in the middle', (text) => text.slice(0, text.length / 2)],
      ['without its last character but one', (text) => `${text.trimEnd().slice(0, -1)}\n`],
      ['emptied', () => ''],
      ['with a revocation taken out', (text) => text.replace(/\{[^{}]*"revoke\/a"[^{}]*\},?/, '')],
      ['with a lower generation', (text) => text.replace('"cookie": 3', '"cookie": 1')],
      ['of another format', (text) => text.replace('"keyturnWitness": 1', '"keyturnWitness": 2')],
      ['that is a list', () => '[]'],
    ]
    for (const [how, damage] of damages) {
      test(`${how} is an error and stays as it is`, async ({ witness, other, text }) => {
        if (!text) return
        const facts = seen({
          events: [revocation('a'), revocation('b')],
          generations: { cookie: 3 },
        })
        await witness.update((before) => witnessed(before, facts))
        const damaged = damage(await text.read())
        assert.notEqual(damaged, await text.read(), 'the test damages nothing')
        await text.write(damaged)
        await assert.rejects(other.read(), { code: 'witness_unreadable' })
        await assert.rejects(
          witness.update((before) => witnessed(before, seen({ generations: { cookie: 9 } }))),
          { code: 'witness_unreadable' },
        )
        assert.equal(await text.read(), damaged)
      })
    }
  })
}
