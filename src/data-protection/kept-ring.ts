import { readBounded } from '../bounded-file.ts'
import type { Certificate } from './encrypted-xml.ts'
import { CertificateUnusable } from './errors.ts'
import type { RingSource } from './open-store.ts'
import type { KeepPolicy } from './plan.ts'

/** A ring of the configuration, with its place and the policy by which it is kept. */
export interface KeptRing extends KeepPolicy {
  /** Name of the ring, without `data-protection/`. */
  readonly name: string
  /** Place of the ring: exactly one of `directory`, `redis` and `database` is given. */
  readonly directory?: string | undefined
  readonly redis?: string | undefined
  readonly list?: string | undefined
  readonly database?: string | undefined
  readonly table?: string | undefined
  readonly applicationName?: string | undefined
  readonly certificates: readonly KeptRingCertificate[]
}

export interface KeptRingCertificate {
  readonly file: string
  readonly password?: string | undefined
  /** File with the password, if the password itself is not given. */
  readonly passwordFile?: string | undefined
}

/** Prefix of the names of all kept rings, so that none is mistaken for a ring that signs. */
export const KEPT_RINGS = 'data-protection/'

/**
 * Name of a ring in commands, readiness, logs and metrics.
 * @example ringNameOf(ring) // data-protection/shop
 */
export function ringNameOf({ name }: Pick<KeptRing, 'name'>): string {
  return `${KEPT_RINGS}${name}`
}

export function sourceOf({ directory, redis, list, database, table }: KeptRing): RingSource {
  if (directory !== undefined) return { directory }
  if (redis !== undefined) {
    return { redis: { client: redis, ...(list === undefined ? {} : { list }) } }
  }
  if (database === undefined) return {}
  return { database: { dataSource: database, ...(table === undefined ? {} : { table }) } }
}

/** Reads all certificates of a ring, with their passwords. @throws CertificateUnusable */
export async function loadCertificates({
  certificates,
}: KeptRing): Promise<readonly Certificate[]> {
  if (certificates.length === 0) return []
  // Most rings have no certificate, and the code that reads PKCS#12 is slow to import.
  const { loadCertificate } = await import('./certificate-file.ts')
  return Promise.all(
    certificates.map(async ({ file, password, passwordFile }) => {
      const told = passwordFile === undefined ? password : await readPassword(passwordFile)
      return loadCertificate({ file, ...(told === undefined ? {} : { password: told }) })
    }),
  )
}

/** Most bytes of a file with a password. */
const PASSWORD_BYTES_MAX = 64 * 1024

/** Reads a password. The line break at the end belongs to the file, not to the password. */
async function readPassword(file: string): Promise<string> {
  const unreadable = (why: string) =>
    new CertificateUnusable(`The password file ${file} cannot be read (${why}).`)
  const read = await readBounded(file, PASSWORD_BYTES_MAX).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(error.code ?? error.message)
  })
  if (!read) throw unreadable(`it has more than ${PASSWORD_BYTES_MAX} bytes`)
  return Buffer.from(read)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
