import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { keyturnIn } from './keyturn.ts'

const FULL = '/dev/full'
const PEOPLE = 40

describe('the answer of a command', () => {
  it('may lose its reader early, and the command is carried out to its end', async () => {
    await using cli = await keyturnIn()
    const child = spawn(
      process.execPath,
      cli.command(['accounts', 'import', '-']),
      cli.spawnOptions,
    )
    child.stdout.once('data', () => child.stdout.destroy())
    child.stdin.end(Array.from({ length: PEOPLE }, (_, i) => `{"username":"u${i}"}`).join('\n'))
    const [status, err] = await Promise.all([
      new Promise((resolve) => child.once('exit', resolve)),
      text(child.stderr),
    ])
    assert.deepEqual({ status, err }, { status: 0, err: '' })
    assert.equal((await cli.json(['accounts', 'list'])).length, PEOPLE)
  })

  it('may lose the reader of standard error, and the command keeps its status', async () => {
    await using cli = await keyturnIn()
    const child = spawn(process.execPath, cli.command(['keys', 'turn']), cli.spawnOptions)
    child.stderr.destroy()
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 2)
  })

  it('that cannot be written is told, with status 1', { skip: !existsSync(FULL) }, async () => {
    await using cli = await keyturnIn()
    const full = await open(FULL, 'w')
    const child = spawn(process.execPath, cli.command(['accounts', 'add', 'ada']), {
      ...cli.spawnOptions,
      stdio: ['ignore', full.fd, 'pipe'],
    })
    const [status, err] = await Promise.all([
      new Promise((resolve) => child.once('exit', resolve)),
      child.stderr ? text(child.stderr) : '',
    ])
    await full.close()
    assert.equal(status, 1)
    assert.match(err, /^The answer cannot be written to standard output: ENOSPC/m)
    assert.equal((await cli.json(['accounts', 'list'])).length, 1)
  })
})
