import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSeldomLog } from '../src/seldom-log.ts'

function watch(options: { burst: number; pause: number; except?: readonly string[] }) {
  let elapsed = 0
  const lines: [string, object, string][] = []
  const write = (level: string) => (data: object, message: string) =>
    void lines.push([level, data, message])
  const target = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }
  const log = createSeldomLog(target as never, { elapsed: () => elapsed }, options)
  return {
    log,
    lines,
    pass: (seconds: number) => {
      elapsed += seconds
    },
  }
}

describe('what clients can cause', () => {
  it('is written some times at once and then now and then, with a count of the others', () => {
    const { log, lines, pass } = watch({ burst: 3, pause: 2 })
    for (let request = 0; request < 100; request++) log.info({ request }, 'refused')
    pass(2)
    for (let request = 100; request < 200; request++) log.info({ request }, 'refused')
    assert.deepEqual(
      lines.map(([, data]) => data),
      [{ request: 0 }, { request: 1 }, { request: 2 }, { request: 100, others: 97 }],
    )
  })

  it('hides nothing of another level, message or code', () => {
    const { log, lines } = watch({ burst: 1, pause: 1 })
    const failed = (code: string) => Object.assign(new Error('no'), { code })
    for (let request = 0; request < 10; request++) {
      log.info({}, 'refused')
      log.warn({}, 'refused')
      log.info({}, 'limited')
      log.info({ error: 'invalid_request' }, 'refused')
      log.error({ err: failed('EIO') }, 'failed')
      log.error({ err: failed('ENOSPC') }, 'failed')
    }
    assert.equal(lines.length, 6)
  })

  it('is always written where it is a fact that somebody needs', () => {
    const { log, lines } = watch({ burst: 1, pause: 1, except: ['signed in'] })
    for (let request = 0; request < 10; request++) log.info({ request }, 'signed in')
    assert.equal(lines.length, 10)
  })
})
