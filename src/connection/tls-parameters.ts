/**
 * Parameters of a URL that are about TLS, in the words of every driver family. `tls-request.ts`
 * reads their values.
 */

/** A parameter as it was written; `key` is its name by `keyOf`. */
export interface Parameter {
  readonly name: string
  readonly key: string
  readonly value: string
}

/** The common key of `ssl-mode`, `sslMode`, `ssl_mode`, `ssl.mode` and `sslmode`. */
export function keyOf(name: string): string {
  return name.toLowerCase().replace(/[-_.]/g, '')
}

/** Names of parameters by meaning; the first name of each row is suggested in messages. */
const NAMES = {
  level: ['sslmode', 'ssl', 'usessl', 'requiressl', 'tls', 'tlsmode', 'sslaccept'],
  off: ['ssldisabled'],
  checksCa: [
    ...['sslverifyservercert', 'sslverifycert', 'verifyservercertificate', 'sslcertreqs'],
    ...['rejectunauthorized', 'verifypeer'],
  ],
  checksNoCa: ['trustservercertificate', 'tlsinsecure', 'tlsallowinvalidcertificates'],
  checksHost: ['sslcheckhostname', 'sslverifyidentity', 'verifyidentity'],
  ca: [
    ...['sslrootcert', 'sslca', 'sslcacert', 'sslcacerts', 'sslcafile', 'serversslcert'],
    ...['tlsca', 'tlscafile', 'tlscacertfile', 'cacert'],
  ],
  cert: ['sslcert', 'sslcertfile', 'sslcertificate', 'tlscert', 'tlscertfile'],
  key: ['sslkey', 'sslkeyfile', 'tlskey', 'tlskeyfile'],
  passphrase: ['sslpassword', 'sslkeypassword', 'sslpassphrase', 'tlskeypassword'],
  crl: ['sslcrl', 'sslcrlfile'],
  ciphers: ['sslcipher', 'sslciphers', 'tlscipher', 'tlsciphers'],
  minVersion: ['sslminprotocolversion', 'tlsminversion'],
  maxVersion: ['sslmaxprotocolversion', 'tlsmaxversion'],
  versions: ['tlsversion', 'tlsversions'],
  negotiation: ['sslnegotiation'],
  noEffect: ['sslcompression', 'sslsni', 'uselibpqcompat'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Meaning = keyof typeof NAMES

/** Meanings by the common key of their names. */
export const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  Object.entries(NAMES).flatMap(([meaning, names]) =>
    // The keys of NAMES are meanings.
    names.map((name) => [name, meaning as Meaning] as const),
  ),
)

/** Names to suggest for misspelt parameters. */
export const TLS_NAMES: readonly string[] = [...MEANINGS.keys()]

export function isTlsParameter(key: string): boolean {
  return MEANINGS.has(key)
}
