import { ImportRefused } from '../errors.ts'
import { buildKey } from './build-key.ts'
import {
  attachedChain,
  CERTIFICATES_MAX,
  certificateMembers,
  certificateMismatch,
  chainOf,
  type FoundCertificate,
  leaves,
  parseCertificate,
  rememberingThumbprints,
  type ThumbprintOf,
} from './certificates.ts'
import {
  entryOf,
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  withoutTwins,
} from './imported-key.ts'
import type { Keystore, KeystoreKey } from './pkcs12.ts'
import { orRefusal, refusal } from './refusal.ts'

export interface KeystoreContext {
  /** Name of the file, for messages. */
  readonly source: string
  /** Alias of the only entry to read. Java ignores case in aliases. */
  readonly alias?: string | undefined
  /** Seconds since the epoch, to tell which certificates have expired. */
  readonly now: number
}

/**
 * Reads a keystore: each key with its chain of certificates. In a store without private keys, the
 * certificates are keys for validation.
 * @throws ImportRefused `certificate_mismatch`, `alias_unknown`
 */
export async function keystoreKeys(store: Keystore, context: KeystoreContext): Promise<Imported> {
  const wanted = (alias: string | undefined) =>
    context.alias === undefined || alias?.toLowerCase() === context.alias.toLowerCase()
  assertAlias(store, context)
  if (store.certificates.length > CERTIFICATES_MAX) {
    throw refusal(
      'input_too_large',
      `${context.source} has more than ${CERTIFICATES_MAX} certificates. Leave those of its keys and their issuers.`,
    )
  }
  const left = store.sealed
    .filter(({ alias }) => wanted(alias))
    .map(({ alias, refused }) => leftOut(alias ?? context.source, refused))
  if (store.keys.length + store.sealed.length === 0) {
    return endings(await certificateKeys(store.certificates, context), left, context.now)
  }
  const keys: ImportedKey[] = []
  const of = rememberingThumbprints()
  for (const entry of store.keys) {
    const key = await orRefusal(() => keyWithChain(entry, store, { source: context.source, of }))
    if (!wanted(entry.alias)) continue
    if (key instanceof ImportRefused) left.push(leftOut(entry.alias ?? context.source, key))
    else keys.push(key)
  }
  if (context.alias === undefined && keys.length > 0) left.push(...unused(store.certificates, keys))
  return endings(keys, left, context.now)
}

async function keyWithChain(
  { members, algorithm, alias, localKeyId, certificates: own }: KeystoreKey,
  store: Keystore,
  { source, of }: { readonly source: string; readonly of: ThumbprintOf },
): Promise<ImportedKey> {
  const key = await buildKey({
    members,
    ...(algorithm !== undefined && { algorithm }),
    ...(alias !== undefined && { alias }),
    source: alias === undefined ? source : entryOf(source, alias),
  })
  if (own) return { ...key, certificates: await attachedChain(key, certificatesOf(own)) }
  for (const { certificate, localKeyId: named } of store.certificates) {
    if (localKeyId === undefined || named !== localKeyId) continue
    if ((await of(certificate)) !== key.thumbprint) throw certificateMismatch()
  }
  const chain = await chainOf(key.thumbprint, certificatesOf(store.certificates), { of })
  const single = store.keys.length === 1 && store.certificates.length > 0
  if (single && chain.length === 0) throw certificateMismatch()
  return { ...key, certificates: chain.map(({ raw }) => raw) }
}

async function certificateKeys(
  certificates: readonly FoundCertificate[],
  { source, alias }: KeystoreContext,
): Promise<ImportedKey[]> {
  const wanted = certificates.filter(
    (one) => alias === undefined || one.alias?.toLowerCase() === alias.toLowerCase(),
  )
  const keys: ImportedKey[] = []
  const of = rememberingThumbprints()
  for (const leaf of leaves(certificatesOf(wanted))) {
    const members = certificateMembers(leaf)
    const key = await buildKey({ members, source })
    const chain = await chainOf(key.thumbprint, certificatesOf(certificates), { of })
    keys.push({ ...key, certificates: chain.map(({ raw }) => raw) })
  }
  return keys
}

/** Leaves out expired certificates, because relying parties may check `x5c`. */
function endings(found: readonly ImportedKey[], left: readonly LeftOut[], now: number): Imported {
  const ended: LeftOut[] = []
  const single = withoutTwins(found)
  const keys = single.keys.map((key) => {
    const [leaf] = key.certificates
    const end = leaf ? endOf(leaf) : Number.POSITIVE_INFINITY
    if (now < end) return key
    const refused = refusal(
      'certificate_expired',
      `The certificate of the key ${key.kid} has expired; the key comes in without it.`,
    )
    ended.push(leftOut(key.kid, refused))
    return { ...key, certificates: [] }
  })
  return { keys, left: [...left, ...single.left, ...ended] }
}

function endOf(der: Uint8Array): number {
  return parseCertificate(der).validToDate.getTime() / 1000
}

function certificatesOf(found: readonly FoundCertificate[]) {
  return found.map(({ certificate }) => certificate)
}

function unused(
  all: readonly FoundCertificate[],
  keys: readonly ImportedKey[],
): readonly LeftOut[] {
  const used = keys.flatMap(({ certificates }) => certificates)
  return all
    .filter(({ certificate }) => !used.some((der) => certificate.raw.equals(der)))
    .map(({ alias }) => leftOut(alias ?? 'certificate', certificateUnused()))
}

function certificateUnused() {
  return refusal(
    'certificate_unused',
    'The certificate is that of no key in the file, and of none of their issuers.',
  )
}

function assertAlias(store: Keystore, { alias, source }: KeystoreContext): void {
  if (alias === undefined) return
  const aliases = [...store.keys, ...store.sealed, ...store.certificates].flatMap(
    (entry) => entry.alias ?? [],
  )
  if (aliases.some((one) => one.toLowerCase() === alias.toLowerCase())) return
  const known = [...new Set(aliases)].slice(0, 20).map((one) => JSON.stringify(one.slice(0, 100)))
  throw refusal(
    'alias_unknown',
    `${source} has no entry of that alias. It has: ${known.join(', ') || 'entries without alias'}.`,
  )
}
