/**
 * Reads the TLS parameters of a URL. The words of every driver family are understood, with libpq's
 * meaning of the levels, and the driver gets explicit options (`tls-options.ts`), because Node's
 * drivers ignore unknown parameters or give the same word another meaning.
 */

import { keyOf, MEANINGS, type Meaning, type Parameter } from './tls-parameters.ts'

/**
 * - `disable`: plain text
 * - `require`: encrypted, without checking who the server is
 * - `verify-ca`: the certificate comes from a trusted authority
 * - `verify-full`: the certificate is also for this host
 */
export type TlsLevel = 'disable' | 'require' | 'verify-ca' | 'verify-full'

export interface TlsRequest {
  readonly level: TlsLevel
  /**
   * Path of a PEM file, or PEM text, as for the next three. Without `ca` Node's own authorities are
   * trusted.
   */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly crl?: string
  /** Passphrase of the key. */
  readonly passphrase?: string
  readonly ciphers?: string
  readonly minVersion?: TlsVersion
  readonly maxVersion?: TlsVersion
  /** PostgreSQL 17 and later: TLS begins at once, without a request for it. */
  readonly isDirect?: true
}

export type TlsVersion = (typeof VERSIONS)[number]

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

/** Values of a level, without case and with hyphens. `allow` and `prefer` never fall back here. */
const LEVELS: ReadonlyMap<string, TlsLevel> = new Map(
  Object.entries({
    disable: 'disable',
    disabled: 'disable',
    allow: 'require',
    prefer: 'require',
    preferred: 'require',
    require: 'require',
    required: 'require',
    trust: 'require',
    'no-verify': 'require',
    'skip-verify': 'require',
    'accept-invalid-certs': 'require',
    'verify-ca': 'verify-ca',
    'verify-full': 'verify-full',
    'verify-identity': 'verify-full',
    strict: 'verify-full',
  } satisfies Readonly<Record<string, TlsLevel>>),
)

const TRUE = ['true', '1', 'on', 'yes']
const FALSE = ['false', '0', 'off', 'no']
/** Values of redis-py and Lettuce. */
const CHECKS = { yes: ['required', 'full', 'ca', ...TRUE], no: ['none', 'optional', ...FALSE] }

/** The request, or a problem that completes "it must be". */
export type TlsAnswer = { readonly tls: TlsRequest | undefined } | { readonly problem: string }

/**
 * Understands all parameters about TLS together.
 * @param parameters parameters for which `isTlsParameter` is true, each once
 * @param isAsked true if the scheme of the URL asks for TLS (`rediss:`)
 */
export function readTls(parameters: readonly Parameter[], isAsked = false): TlsAnswer {
  if (parameters.length === 0) return { tls: isAsked ? { level: 'verify-full' } : undefined }
  const said: Said = { levels: new Map(), more: {} }
  if (isAsked) said.isOn = 'the scheme'
  for (const parameter of parameters) {
    const problem = understand(parameter, said)
    if (problem !== undefined) return { problem }
  }
  return conclude(parameters, said)
}

/** Requests that were understood so far, with names of the parameters that made them. */
interface Said {
  readonly levels: Map<string, TlsLevel>
  more: Omit<TlsRequest, 'level'>
  isOn?: string
  isOff?: string
  checksCa?: boolean | undefined
  checksHost?: boolean | undefined
}

/** @returns the problem of one parameter */
function understand({ name, key, value }: Parameter, said: Said): string | undefined {
  const word = value.toLowerCase().replaceAll('_', '-')
  const isTrue = TRUE.includes(word)
  const isFalse = FALSE.includes(word)
  const expected = (what: string) => `a URL whose ${name} is ${what}`
  const meaning = MEANINGS.get(key)
  switch (meaning) {
    case 'level': {
      const level = LEVELS.get(word)
      if (level === 'disable') said.isOff = name
      else if (level) said.levels.set(name, level)
      else if (isTrue && key === 'requiressl') said.levels.set(name, 'require')
      else if (isTrue) said.isOn = name
      // "requireSSL=false" does not cancel "useSSL".
      else if (isFalse && key !== 'requiressl') said.isOff = name
      else if (value.startsWith('{')) return understandJson({ name, value }, said)
      else if (!isFalse) return expected('disable, require, verify-ca or verify-full')
      return undefined
    }
    case 'off':
      if (!isTrue && !isFalse) return expected('true or false')
      if (isTrue) said.isOff = name
      else said.isOn = name
      return undefined
    case 'checksCa':
      if (!CHECKS.yes.includes(word) && !CHECKS.no.includes(word)) return expected('true or false')
      said.checksCa = CHECKS.yes.includes(word)
      if (key === 'verifypeer' && word === 'ca') said.checksHost = false
      return undefined
    case 'checksNoCa':
      if (!isTrue && !isFalse) return expected('true or false')
      said.checksCa = isFalse
      return undefined
    case 'checksHost':
      if (!isTrue && !isFalse) return expected('true or false')
      said.checksHost = isTrue
      return undefined
    case 'minVersion':
    case 'maxVersion': {
      const version = versionOf(value)
      if (!version) return expected(`one of ${VERSIONS.join(', ')}`)
      said.more = { ...said.more, [meaning]: version }
      return undefined
    }
    case 'versions': {
      const versions = value.split(',').map(versionOf)
      const [first] = versions
      if (!first || versions.includes(undefined)) return expected(`of ${VERSIONS.join(', ')}`)
      const sorted = VERSIONS.filter((version) => versions.includes(version))
      said.more = {
        ...said.more,
        minVersion: sorted[0] ?? first,
        maxVersion: sorted.at(-1) ?? first,
      }
      return undefined
    }
    case 'negotiation':
      if (word !== 'postgres' && word !== 'direct') return expected('postgres or direct')
      if (word === 'direct') said.more = { ...said.more, isDirect: true }
      return undefined
    case 'noEffect':
      // These parameters state what is always so; the opposite is not supported.
      if (key === 'sslcompression' ? isFalse : isTrue) return undefined
      return expected(key === 'sslcompression' ? '0' : 'true; it cannot be switched off')
    case undefined:
      throw new TypeError(`${key} says nothing about TLS`)
    default:
      if (value === '') return expected('a file')
      // libpq's name for the authorities of the system.
      if (meaning !== 'ca' || word !== 'system') said.more = { ...said.more, [meaning]: value }
      else said.levels.set(name, 'verify-full')
      return undefined
  }
}

/** Fields of Node's options, by the parameter that means the same. */
const JSON_FIELDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ca: 'sslca',
    cert: 'sslcert',
    key: 'sslkey',
    passphrase: 'sslpassphrase',
    ciphers: 'sslciphers',
    minversion: 'tlsminversion',
    maxversion: 'tlsmaxversion',
    rejectunauthorized: 'rejectunauthorized',
    verifyidentity: 'verifyidentity',
  }),
)

/**
 * Understands mysql2's form, `ssl={"rejectUnauthorized":true}`, which does not compare the host by
 * default.
 */
function understandJson(
  { name, value }: Pick<Parameter, 'name' | 'value'>,
  said: Said,
): string | undefined {
  let fields: Readonly<Record<string, unknown>>
  try {
    fields = JSON.parse(value)
  } catch {
    return `a URL whose ${name} is a level such as verify-full, or valid JSON`
  }
  said.isOn = name
  said.checksHost = false
  for (const [field, inner] of Object.entries(fields)) {
    const key = JSON_FIELDS.get(keyOf(field))
    if (key === undefined) return `a URL whose ${name} has no ${field}, which is unknown`
    const problem = understand({ name: `${name}.${field}`, key, value: String(inner) }, said)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Combines all parameters into a request. */
function conclude(parameters: readonly Parameter[], said: Said): TlsAnswer {
  const { levels, more, isOn, isOff, checksCa, checksHost } = said
  const asks = isOn ?? [...levels.keys()][0] ?? nameOfFile(parameters)
  if (isOff !== undefined) {
    if (asks === undefined) return { tls: { level: 'disable' } }
    return {
      problem: `a URL that says one thing about TLS: ${asks} asks for it, ${isOff} forbids it`,
    }
  }
  const [explicit, ...others] = new Set(levels.values())
  if (others.length > 0) {
    return {
      problem: `a URL that names one level of TLS, not ${[explicit, ...others].join(' and ')}`,
    }
  }
  if (checksCa === false && (explicit === 'verify-ca' || explicit === 'verify-full')) {
    return { problem: `a URL that either verifies the certificate (${explicit}) or does not` }
  }
  const { ca, cert, key } = more
  if ((cert === undefined) !== (key === undefined)) {
    return { problem: 'a URL that names both sslcert and sslkey, or neither' }
  }
  const level = levelOf(explicit, { checksCa, checksHost, hasCa: ca !== undefined })
  return { tls: { level, ...more } }
}

function levelOf(
  explicit: TlsLevel | undefined,
  { checksCa, checksHost, hasCa }: Pick<Said, 'checksCa' | 'checksHost'> & { hasCa: boolean },
): TlsLevel {
  if (checksCa === false) return 'require'
  if (explicit === 'require') {
    if (checksHost) return 'verify-full'
    // As in libpq, naming an authority means that certificates are checked.
    return hasCa || checksCa ? 'verify-ca' : 'require'
  }
  if (explicit === 'verify-ca' && checksHost) return 'verify-full'
  if (explicit !== undefined) return explicit
  return checksHost === false ? 'verify-ca' : 'verify-full'
}

/** Name of a parameter that asks for TLS implicitly, such as that of a certificate. */
function nameOfFile(parameters: readonly Parameter[]): string | undefined {
  const quiet: readonly (Meaning | undefined)[] = ['off', 'noEffect']
  return parameters.find(({ key, value }) => {
    const meaning = MEANINGS.get(key)
    if (meaning === 'negotiation') return value.toLowerCase() === 'direct'
    return meaning !== 'level' && !quiet.includes(meaning)
  })?.name
}

function versionOf(text: string): TlsVersion | undefined {
  const wanted = text.trim().toLowerCase()
  return VERSIONS.find((version) => version.toLowerCase() === wanted)
}
