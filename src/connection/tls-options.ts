import { readBoundedSync } from '../bounded-file.ts'
import { StoreUnavailable } from '../errors.ts'
import type { TlsRequest } from './tls-request.ts'

/** Options for `node:tls`: the request, with PEM text instead of paths. */
export interface TlsOptions extends Omit<TlsRequest, 'level' | 'isDirect'> {
  readonly rejectUnauthorized: boolean
  /** Set only if the certificate's host is not to be compared. */
  readonly checkServerIdentity?: () => undefined
}

/**
 * Reads the files that a request names.
 * @param setting setting with the URL, such as `database.url`
 * @returns undefined for plain text
 * @throws StoreUnavailable if a file cannot be read
 */
export function tlsOptions(
  request: TlsRequest | undefined,
  setting: string,
): TlsOptions | undefined {
  if (!request || request.level === 'disable') return undefined
  const { level, ca, cert, key, crl, isDirect: _, ...more } = request
  const files = { ca, cert, key, crl }
  const read = Object.entries(files).flatMap(([name, file]) =>
    file === undefined ? [] : [[name, pemOf(file, `the ${name} file of ${setting}`)]],
  )
  return {
    ...Object.fromEntries(read),
    ...more,
    rejectUnauthorized: level !== 'require',
    ...(level === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  }
}

function pemOf(file: string, what: string): string {
  if (file.startsWith('-----BEGIN')) return file
  try {
    const bytes = readBoundedSync(file, PEM_BYTES_MAX)
    if (bytes) return bytes.toString('utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StoreUnavailable(`Cannot read ${what}: ${reason}`, error)
  }
  throw new StoreUnavailable(`Cannot read ${what}: it has more than ${PEM_BYTES_MAX} bytes`)
}

/** Most bytes of a PEM file; all authorities that systems trust have less than 1 MiB. */
const PEM_BYTES_MAX = 16 * 1024 * 1024
