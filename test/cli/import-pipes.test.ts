import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { loadCertificates } from '../../src/data-protection/kept-ring.ts'
import { keyturnIn } from './keyturn.ts'

/** Pipes that programs write to, and pipes that nobody ever writes to, which take 15 s. */

type Cli = Awaited<ReturnType<typeof keyturnIn>>

function fifo(cli: Cli, name: string): string {
  const path = join(cli.path, name)
  execFileSync('mkfifo', [path])
  return path
}

describe('a pipe in the place of a file with a password', { concurrency: true }, () => {
  it('gives the password that a program writes', async () => {
    await using cli = await keyturnIn()
    const args = await locked(cli)
    const pipe = fifo(cli, 'password')
    const read = cli.json<{ keys: unknown[] }>([...args, '--password-file', pipe])
    const [{ keys }] = await Promise.all([read, writeFile(pipe, 'secret\n')])
    assert.equal(keys.length, 1)
  })

  it('holds up no import where nobody writes to it', async () => {
    await using cli = await keyturnIn()
    const args = await locked(cli)
    const { status, err } = await cli.run([...args, '--password-file', fifo(cli, 'password')])
    assert.equal(status, 1)
    assert.match(err, /^source_unreadable: .*nobody has written to this pipe for 15 s/)
  })

  it('holds up no keeper of a key ring where nobody writes to it', async () => {
    await using cli = await keyturnIn()
    const certificates = [{ file: 'ring.pfx', passwordFile: fifo(cli, 'password') }]
    const ring = { name: 'shop', certificates }
    // The rest of a ring is not looked at.
    const loaded = loadCertificates(ring as unknown as Parameters<typeof loadCertificates>[0])
    await assert.rejects(loaded, { message: /nobody has written to this pipe for 15 s/ })
  })
})

/** Arguments that import a file whose key has a password. */
async function locked(cli: Cli): Promise<readonly string[]> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const path = join(cli.path, 'key.pem')
  const encrypted = { cipher: 'aes-256-cbc', passphrase: 'secret' }
  await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem', ...encrypted }))
  return ['keys', 'import', 'pem', path]
}
