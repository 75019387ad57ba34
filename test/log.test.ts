import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { KekMissing } from '../src/errors.ts'
import { errorFields, logFields } from '../src/log-fields.ts'

const SECRET = 'hunter2-hunter2-hunter2-hunter2'

/** As drivers and parsers make them. */
function leaky(): Error {
  const cause = Object.assign(new Error('Parse Error: Invalid character in chunk size'), {
    code: 'HPE_INVALID_CHUNK_SIZE',
    rawPacket: Buffer.from(SECRET),
    reason: SECRET,
  })
  const failed = Object.assign(new Error('insert failed', { cause }), {
    code: '23505',
    query: `INSERT ${SECRET}`,
    parameters: [SECRET],
    driverError: { sql: SECRET },
    detail: `Key (id)=(${SECRET})`,
    headers: { cookie: SECRET },
    response: { body: SECRET },
    config: new Map([[SECRET, SECRET]]),
  })
  return new AggregateError([failed, leaky2()], 'all failed', { cause: failed })
}

function leaky2(): Error {
  try {
    return JSON.parse(`{"a": ${SECRET}`)
  } catch (error) {
    return error as Error
  }
}

describe('an error in the log', () => {
  it('is its named fields, those of its causes and of the errors in it, and nothing else', () => {
    const fields = errorFields(leaky())
    const text = JSON.stringify(fields)
    assert.ok(!text.includes(SECRET), text)
    assert.ok(!text.includes(JSON.stringify(Buffer.from(SECRET)).slice(30, 60)), text)
    assert.match(text, /HPE_INVALID_CHUNK_SIZE/)
    assert.match(text, /23505/)
    assert.match(text, /not valid JSON/)
  })

  it('has a bounded message, without the long texts that it quotes', () => {
    const { message } = errorFields(new Error(`${'x'.repeat(10_000)}`))
    assert.ok(String(message).length < 400)
    for (const quoted of [
      `duplicate entry '${SECRET}' for key`,
      `bad "${SECRET}"`,
      `The "url" argument must be of type string. Received type number (${SECRET})`,
    ]) {
      assert.ok(!String(errorFields(new Error(quoted)).message).includes(SECRET), quoted)
    }
  })

  it('has a stack where it is a fault of ours, and none where words or a status say enough', () => {
    assert.match(String(errorFields(new TypeError('x is not a function')).stack), /^ {4}at /)
    const invalid = Object.assign(new TypeError('Invalid'), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.ok(errorFields(invalid).stack)
    const refused = Object.assign(new Error('no'), { statusCode: 400 })
    for (const error of [refused, new KekMissing('gone'), leaky2OfTheSystem()]) {
      assert.equal(errorFields(error).stack, undefined, error.message)
    }
  })

  it('does not follow a chain of causes for ever', () => {
    const error = new Error('round')
    error.cause = error
    assert.ok(JSON.stringify(errorFields(error)).length < 20_000)
  })
})

function leaky2OfTheSystem(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', port: 1 })
}

describe('data in the log', () => {
  it('is plain: a request, a buffer or a map is its name, and a secret is not shown', () => {
    const data = logFields({
      request: new Request('http://localhost/', { headers: { cookie: SECRET } }),
      packet: Buffer.from(SECRET),
      map: new Map([[1, SECRET]]),
      inner: { password: SECRET, list: [leaky()], refresh_token: SECRET },
      account: 'ada',
      at: new Date(0),
    })
    const text = JSON.stringify(data)
    assert.ok(!text.includes(SECRET), text)
    assert.match(text, /"type":"Request"/)
    assert.match(text, /"account":"ada"/)
    assert.match(text, /1970-01-01T00:00:00.000Z/)
  })
})

describe('the log of a process', () => {
  const script = `
    import { createLog } from '${join(import.meta.dirname, '../src/log.ts')}'
    const log = createLog({ level: 'info', format: process.argv[1] })
    const packet = Object.assign(new Error('Parse Error'), {
      code: 'HPE_INVALID_CHUNK_SIZE', rawPacket: Buffer.from('${SECRET}') })
    log.error(packet)
    log.error({ err: packet }, 'failed')
    log.error({ err: packet, error: packet, deep: { cause: packet } }, 'failed %s', packet)
    log.child({ worker: 1 }).warn({ parameters: ['a'], req: { headers: { cookie: '${SECRET}' } } })
    log.info('done')
  `
  for (const format of ['json', 'pretty']) {
    it(`shows no part of a packet, however an error comes to it (${format})`, () => {
      const args = ['--input-type=module', '-e', script, format]
      const { stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      assert.ok(!stderr.includes(SECRET), stderr)
      assert.ok(!/104,\s*117,\s*110/.test(stderr), 'bytes of the packet')
      assert.equal(stderr.match(/HPE_INVALID_CHUNK_SIZE/g)?.length, 5, stderr)
      assert.match(stderr, /done/)
    })
  }
})
