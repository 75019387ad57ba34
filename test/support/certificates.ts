import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram, run } from '../../lab/programs.ts'
import { temporaryFolder } from '../../lab/temporary.ts'

/** A certificate authority of the tests alone, and what it vouches for. */

/** For `describe`: why tests with certificates are left out, or false. In CI they must run. */
export const skipCertificates: string | false = reasonToSkip()

function reasonToSkip(): string | false {
  if (findProgram('openssl')) return false
  if (process.env.CI) throw new Error('openssl is not installed')
  return 'openssl is not installed'
}

export interface Certificates extends AsyncDisposable {
  /** Files. */
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

/** @param names what the certificate is for, such as `DNS:localhost` */
export async function makeCertificates(names: string): Promise<Certificates> {
  const folder = await temporaryFolder()
  await chmod(folder.path, 0o755)
  const file = (name: string) => join(folder.path, name)
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder.path })
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(
    ...['req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2'],
    ...['-subj', '/CN=Authority of a test'],
  )
  await openssl('req', ...ec, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server')
  await writeFile(file('names'), `subjectAltName=${names}\n`)
  await openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2'],
    ...['-CAcreateserial', '-extfile', 'names', '-out', 'server.pem'],
  )
  await chmod(file('server.key'), 0o600)
  return {
    authority: file('ca.pem'),
    certificate: file('server.pem'),
    key: file('server.key'),
    [Symbol.asyncDispose]: folder.remove,
  }
}
