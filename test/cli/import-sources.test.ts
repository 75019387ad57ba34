import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exportJWK, exportPKCS8, generateKeyPair, type JWK } from 'jose'
import { keyturnIn } from './keyturn.ts'

interface Shown {
  readonly keys: readonly { readonly kid: string; readonly source: string }[]
  readonly left: readonly { readonly name: string; readonly code: string }[]
}

async function pem(): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return exportPKCS8(privateKey)
}

async function jwks(kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk: JWK = { ...(await exportJWK(privateKey)), kid, alg: 'ES256' }
  return JSON.stringify({ keys: [jwk] })
}

/** More than fits into memory; the file takes no room on the disk. */
const HUGE = 2 ** 36

async function huge(path: string): Promise<string> {
  await writeFile(path, '')
  await truncate(path, HUGE)
  return path
}

function fifo(path: string): string {
  execFileSync('mkfifo', [path])
  return path
}

describe('a source of an import', () => {
  it('is refused by its size, and not read, where it is huge', async () => {
    await using cli = await keyturnIn()
    const file = await huge(join(cli.path, 'huge.json'))
    const secrets = join(cli.path, 'secrets')
    await writeFile(secrets, 'one\n')
    for (const system of ['jwks', 'pem', 'keycloak', 'oidc-provider', 'hydra', 'dex', 'duende']) {
      const { status, err } = await cli.run([
        ...[
          'keys',
          'import',
          system,
          file,
          ...(system === 'hydra' ? ['--secrets-file', secrets] : []),
        ],
      ])
      assert.deepEqual(
        [status, /^input_too_large: .*more than \d+ bytes/.test(err)],
        [1, true],
        err,
      )
    }
    const secret = await cli.run(['keys', 'import', 'pem', file, '--password-file', file])
    assert.match(secret.err, /^source_unreadable: .*more than 65536 bytes/)
  })

  it('is read from a pipe, as shells make one of the output of a program', async () => {
    await using cli = await keyturnIn()
    const path = fifo(join(cli.path, 'pipe'))
    const writer = createWriteStream(path)
    writer.end(await jwks('piped'))
    const { keys } = await cli.json<Shown>(['keys', 'import', 'jwks', path])
    assert.deepEqual(
      keys.map(({ kid }) => kid),
      ['piped'],
    )
  })

  it('is refused with one coded line where it is no file, or is not there', async () => {
    await using cli = await keyturnIn()
    const folder = join(cli.path, 'folder')
    await mkdir(folder)
    await symlink('round', join(cli.path, 'round'))
    await symlink('nowhere', join(cli.path, 'dangling'))
    for (const [system, source, why] of [
      ['jwks', folder, 'it is a directory'],
      ['dex', folder, 'it is a directory'],
      ['jwks', '/dev/zero', 'it is no file'],
      ['pem', '/dev/zero', 'it is no file'],
      ['jwks', join(cli.path, 'missing'), 'there is no such file'],
      ['pem', join(cli.path, 'dangling'), 'there is no such file'],
      ['duende', join(cli.path, 'round'), 'its links lead nowhere'],
      ['jwks', 'https:', 'it is no URL'],
    ] as const) {
      const { status, err } = await cli.run(['keys', 'import', system, source])
      assert.equal(status, 1)
      assert.match(err, new RegExp(`^source_unreadable: .* cannot be read: ${why}.*\\n$`), source)
    }
    const secret = await cli.run(['keys', 'import', 'pem', folder, '--password-file', folder])
    assert.match(secret.err, /^source_unreadable: .*it is a directory/)
  })

  it('tells no password that is in its address', async () => {
    await using cli = await keyturnIn()
    const address = 'https://ada:s3cret@127.0.0.1:1/jwks'
    for (const args of [
      ['keys', 'import', 'jwks', address],
      ['keys', 'add', address, '--as', 'validation'],
    ]) {
      const { status, out, err } = await cli.run(args)
      assert.equal(status, 1)
      assert.match(err, /^source_unreadable: https:\/\/127\.0\.0\.1:1\/jwks cannot be read/)
      assert.ok(!`${out}${err}`.includes('s3cret'))
    }
  })
})

describe('a directory of keys', () => {
  it('is read without what is no file in it, and with what links lead to', async () => {
    await using cli = await keyturnIn()
    const [folder, away] = [join(cli.path, 'keys'), join(cli.path, 'away')]
    await mkdir(folder)
    await mkdir(away)
    await writeFile(join(folder, 'one.pem'), await pem())
    await writeFile(join(away, 'two.pem'), await pem())
    await symlink(join(away, 'two.pem'), join(folder, 'two.pem'))
    await symlink(away, join(folder, 'folder.pem'))
    await mkdir(join(folder, 'inner.pem'))
    fifo(join(folder, 'pipe.pem'))
    await huge(join(folder, 'huge.pem'))
    const { keys, left } = await cli.json<Shown>(['keys', 'import', 'pem', folder])
    assert.deepEqual(
      keys.map(({ source }) => source),
      ['one.pem', 'two.pem'],
    )
    assert.deepEqual(
      left.map(({ name, code }) => `${name} ${code}`),
      ['huge.pem input_too_large'],
    )
  })

  it('is refused where a link in it leads nowhere, as that may be the key that signs', async () => {
    await using cli = await keyturnIn()
    const folder = join(cli.path, 'keys')
    await mkdir(folder)
    await writeFile(join(folder, 'one.pem'), await pem())
    await symlink('gone', join(folder, 'gone.pem'))
    const { err } = await cli.run(['keys', 'import', 'pem', folder])
    assert.match(err, /^source_unreadable: .*gone\.pem cannot be read: there is no such file/)
  })

  it('may hold whatever else beside the keys of IdentityServer', async () => {
    await using cli = await keyturnIn()
    const source = join(cli.path, 'jwks.json')
    await writeFile(source, await jwks('ours'))
    await cli.json(['keys', 'import', 'jwks', source, '--apply'])
    const folder = join(cli.path, 'keys')
    await cli.json(['keys', 'export', 'duende', '--to', folder, '--clear'])
    await huge(join(folder, 'server.log'))
    fifo(join(folder, 'is-signing-key-PIPE.json'))
    const { keys, left } = await cli.json<Shown>(['keys', 'import', 'duende', folder])
    assert.deepEqual([keys.map(({ kid }) => kid), left], [['ours'], []])
  })
})
