import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreUnavailable } from '../../src/errors.ts'
import { Outage } from '../../src/oidc/outage.ts'
import { createOutageLog } from '../../src/oidc/outage-log.ts'

test('requests that an outage has cost are told one in a second, with a count and no stack', () => {
  let elapsed = 0
  const lines: object[] = []
  const log = { error: (data: object) => void lines.push(data) }
  const tell = createOutageLog(log as never, { elapsed: () => elapsed })
  const outage = new Outage(new StoreUnavailable('Cannot read: it is full'))
  for (let request = 0; request < 250; request++) {
    tell({ route: 'token' }, outage)
    elapsed += 0.01
  }
  const line = { route: 'token', reason: 'Cannot read: it is full' }
  assert.deepEqual(lines, [line, { ...line, others: 99 }, { ...line, others: 99 }])
})
