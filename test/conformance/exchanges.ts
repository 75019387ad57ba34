import assert from 'node:assert/strict'
import { UsedMeanwhile } from '../../src/artifacts/artifact-record.ts'
import type { ArtifactStore, Exchange, Undo } from '../../src/artifacts/artifact-store.ts'
import type { testsWith } from '../support/with-opened.ts'
import type { ArtifactsUnderTest } from './artifacts.ts'

/** The part of the contract of artifacts about codes and tokens that are exchanged for others. */
export function testExchanges(test: ReturnType<typeof testsWith<ArtifactsUnderTest>>): void {
  /** What a refresh consumes and issues; with `answer`, the text of the answer to keep. */
  const refreshOf = (name: string, answer?: string): Exchange => ({
    used: { model: 'RefreshToken', id: 'r' },
    issued: [
      { model: 'AccessToken', id: `at ${name}`, payload: { grantId: 'g' }, expiresIn: 60 },
      { model: 'RefreshToken', id: `rt ${name}`, payload: { grantId: 'g' }, expiresIn: 90 },
    ],
    ...(answer === undefined
      ? {}
      : {
          answer: {
            model: 'RefreshAnswer',
            id: 'r',
            payload: { sealed: answer },
            expiresIn: 60,
          },
        }),
  })
  const saveGrant = async (artifacts: ArtifactStore) => {
    await artifacts.adapter('Grant').upsert('g', { jti: 'g' }, 60)
    await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', grantId: 'g' }, 60)
  }
  const hasIssued = async (artifacts: ArtifactStore, name: string) => {
    const found = await Promise.all([
      artifacts.adapter('AccessToken').find(`at ${name}`),
      artifacts.adapter('RefreshToken').find(`rt ${name}`),
    ])
    return found.map((payload) => payload !== undefined)
  }

  test('exchanged for others are consumed, and the others are of their grant', async ({
    artifacts,
    other,
  }) => {
    await saveGrant(artifacts)
    assert.equal(await artifacts.exchange(refreshOf('one')), true)
    assert.ok((await other.adapter('RefreshToken').find('r'))?.consumed)
    assert.deepEqual(await hasIssued(other, 'one'), [true, true])
    await other.adapter('RefreshToken').revokeByGrantId('g')
    await other.adapter('AccessToken').revokeByGrantId('g')
    assert.deepEqual(await hasIssued(artifacts, 'one'), [false, false])
  })

  test('exchanged for nothing that is stored are consumed', async ({ artifacts }) => {
    await saveGrant(artifacts)
    assert.ok(await artifacts.exchange({ ...refreshOf('one'), issued: [] }))
    assert.ok((await artifacts.adapter('RefreshToken').find('r'))?.consumed)
  })

  test('exchanged for others without a grant, or without an end, are consumed', async ({
    artifacts,
  }) => {
    for (const [index, fields] of [{}, { grantId: 'g' }].entries()) {
      await saveGrant(artifacts)
      const issued = [
        { model: 'AccessToken', id: `a${index}`, payload: { grantId: 'h' }, expiresIn: 60 },
        { model: 'AccessToken', id: `b${index}`, payload: fields, expiresIn: undefined },
      ]
      await artifacts.adapter('RefreshToken').upsert(`r${index}`, { jti: `r${index}` }, 60)
      const used = { model: 'RefreshToken', id: `r${index}` }
      assert.ok(await artifacts.exchange({ used, issued }))
      for (const { id } of issued) assert.ok(await artifacts.adapter('AccessToken').find(id))
    }
  })

  test('exchanged by two at once take their grant down, whichever was first', async ({
    artifacts,
    other,
  }) => {
    await saveGrant(artifacts)
    const exchanged = await Promise.allSettled([
      artifacts.exchange(refreshOf('one')),
      other.exchange(refreshOf('two')),
    ])
    const [refused, ...more] = exchanged.filter(({ status }) => status === 'rejected')
    assert.ok(refused?.status === 'rejected' && refused.reason instanceof UsedMeanwhile)
    assert.deepEqual(more, [])
    assert.equal(await artifacts.adapter('Grant').find('g'), undefined)
  })

  test('exchanged in vain can be given back, by who exchanged them', async ({
    artifacts,
    other,
  }) => {
    await saveGrant(artifacts)
    const undos: Undo[] = []
    await artifacts.exchange(refreshOf('one'), (undo) => undos.push(undo))
    const second = other.exchange(refreshOf('two'), (undo) => undos.push(undo))
    await assert.rejects(second, UsedMeanwhile)
    await saveGrant(artifacts)
    await undos[1]?.()
    assert.equal(undos.length, 2)
    await undos[0]?.()
    assert.equal((await artifacts.adapter('RefreshToken').find('r'))?.consumed, undefined)
  })

  test('exchanged with an answer may be exchanged again, for the first answer', async ({
    artifacts,
    other,
    pass,
  }) => {
    await saveGrant(artifacts)
    const undos: Undo[] = []
    assert.equal(await artifacts.exchange(refreshOf('one', '1'), (undo) => undos.push(undo)), true)
    const first = (await artifacts.adapter('RefreshToken').find('r'))?.consumed
    assert.ok(first)
    await pass(5)
    assert.equal(await other.exchange(refreshOf('two', '2'), (undo) => undos.push(undo)), false)
    assert.equal((await artifacts.adapter('RefreshToken').find('r'))?.consumed, first)
    assert.deepEqual(await hasIssued(artifacts, 'one'), [true, true])
    assert.deepEqual(await hasIssued(artifacts, 'two'), [false, false])
    assert.ok(await artifacts.adapter('Grant').find('g'))
    assert.equal((await other.adapter('RefreshAnswer').find('r'))?.sealed, '1')
    await undos[1]?.()
    assert.ok((await artifacts.adapter('RefreshToken').find('r'))?.consumed, 'another gave it back')
    await undos[0]?.()
    assert.equal((await artifacts.adapter('RefreshToken').find('r'))?.consumed, undefined)
  })

  test('consumed again stay consumed, whatever is undone before or after', async ({
    artifacts,
    other,
    pass,
  }) => {
    await saveGrant(artifacts)
    const tokens = other.adapter('RefreshToken')
    const undos: Undo[] = []
    await artifacts.exchange(refreshOf('one', '1'), (undo) => undos.push(undo))
    const at = Number((await tokens.find('r'))?.consumed)
    await pass(5)
    for (let times = 0; times < 2; times += 1) {
      await tokens.consumeAgain('r', at)
      await undos[0]?.()
      assert.equal((await artifacts.adapter('RefreshToken').find('r'))?.consumed, at)
    }
    await artifacts.adapter('RefreshToken').upsert('next', { jti: 'next', grantId: 'g' }, 60)
    await artifacts.adapter('RefreshToken').consume('next', (undo) => undos.push(undo))
    await undos[1]?.()
    assert.equal((await tokens.find('next'))?.consumed, undefined)
    await tokens.consumeAgain('next', at)
    assert.equal((await artifacts.adapter('RefreshToken').find('next'))?.consumed, at)
    await tokens.destroy('r')
    await tokens.consumeAgain('r', at)
    assert.equal(await artifacts.adapter('RefreshToken').find('r'), undefined)
  })

  test('exchanged for the first answer stay consumed, if a request without an answer had consumed them', async ({
    artifacts,
    other,
  }) => {
    await saveGrant(artifacts)
    const undos: Undo[] = []
    await artifacts.adapter('RefreshToken').consume('r', (undo) => undos.push(undo))
    assert.equal(await other.exchange(refreshOf('two', '2'), (undo) => undos.push(undo)), true)
    await undos[0]?.()
    assert.ok((await artifacts.adapter('RefreshToken').find('r'))?.consumed)
    assert.deepEqual(await hasIssued(artifacts, 'two'), [true, true])
  })

  test('exchanged by many at once get one answer, and another one once that has expired', async ({
    artifacts,
    other,
    pass,
  }) => {
    await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', grantId: 'g' }, 3600)
    const answers = ['0', '1', '2', '3']
    const exchanged = await Promise.all(
      answers.map((answer, index) =>
        (index % 2 ? other : artifacts).exchange(refreshOf(answer, answer)),
      ),
    )
    assert.equal(exchanged.filter((isFirst) => isFirst).length, 1)
    const answer = answers[exchanged.indexOf(true)]
    assert.equal((await other.adapter('RefreshAnswer').find('r'))?.sealed, answer)
    for (const each of answers) {
      assert.deepEqual(await hasIssued(other, each), [each === answer, each === answer])
    }
    await pass(61)
    assert.equal(await other.exchange(refreshOf('later', 'later')), true)
    assert.equal((await artifacts.adapter('RefreshAnswer').find('r'))?.sealed, 'later')
  })

  test('that are gone cannot be consumed or exchanged, and do not count as used twice', async ({
    artifacts,
  }) => {
    const isGone = (error: Error & { error?: string }) => {
      assert.equal(error.error, 'invalid_grant')
      return !(error instanceof UsedMeanwhile)
    }
    const tokens = artifacts.adapter('RefreshToken')
    await assert.rejects(tokens.consume('unknown'), isGone)
    for (const answer of [undefined, 'answer']) {
      await assert.rejects(artifacts.exchange(refreshOf('one', answer)), isGone)
    }
    assert.deepEqual(await hasIssued(artifacts, 'one'), [false, false])
    await tokens.upsert('r', { jti: 'r' }, 60)
    await tokens.consume('r')
    await assert.rejects(tokens.consume('r'), UsedMeanwhile)
  })
}
