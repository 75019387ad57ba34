import { z } from 'zod'
import { ImportRefused } from '../errors.ts'
import { buildKey } from './build-key.ts'
import { attachedChain, parseCertificate } from './certificates.ts'
import {
  type Imported,
  type ImportedKey,
  type LeftOut,
  leftOut,
  type PhaseHint,
  withoutTwins,
} from './imported-key.ts'
import { publicMembers } from './key-der.ts'
import { orRefusal, refusal } from './refusal.ts'

/**
 * Answers of `GET /admin/realms/REALM/keys`: public halves and the status of each key, for
 * validation.
 */

const KEYS_MAX = 1000
const Key = z.object({
  kid: z.string().optional(),
  status: z.string().optional(),
  type: z.string().optional(),
  algorithm: z.string().optional(),
  publicKey: z.string().optional(),
  certificate: z.string().optional(),
  use: z.string().optional(),
})
export interface AdminKeys {
  /** kids by algorithm. */
  readonly active: object
  readonly keys: readonly unknown[]
}

export function isAdminKeys(value: unknown): value is AdminKeys {
  const { active, keys } = (value ?? {}) as { active?: unknown; keys?: unknown }
  return typeof active === 'object' && active !== null && Array.isArray(keys)
}

/** Reads the answer. Keys that cannot be taken in are named. */
export async function readAdminKeys(value: AdminKeys, name: string): Promise<Imported> {
  if (value.keys.length > KEYS_MAX)
    throw refusal('input_too_large', `${name} has more than ${KEYS_MAX} keys.`)
  const keys: ImportedKey[] = []
  const left: LeftOut[] = []
  const active = new Set<unknown>(Object.values(value.active))
  for (const [at, entry] of value.keys.entries()) {
    const kid = (entry as { kid?: unknown } | null)?.kid
    const label = typeof kid === 'string' ? kid.slice(0, 255) : `keys[${at}]`
    const key = await orRefusal(() => adminKey(entry, active, `${name}#${label}`))
    if (key instanceof ImportRefused) {
      const known = typeof kid === 'string' ? { kid } : {}
      left.push(leftOut(label, key, { ...known, isHarmless: isHarmless(entry) }))
    } else keys.push(key)
  }
  const single = withoutTwins(keys)
  return { keys: single.keys, left: [...left, ...single.left] }
}

/** True if relying parties do not verify with the key, whether it can be read or not. */
function isHarmless(entry: unknown): boolean {
  const { status, use } = (entry ?? {}) as { status?: unknown; use?: unknown }
  return status === 'DISABLED' || use === 'ENC'
}

async function adminKey(
  entry: unknown,
  active: ReadonlySet<unknown>,
  source: string,
): Promise<ImportedKey> {
  const parsed = Key.safeParse(entry)
  if (!parsed.success) throw refusal('key_malformed', `${source} cannot be read.`)
  const { kid, status, type, algorithm, publicKey, certificate, use } = parsed.data
  if (type === 'OCT') {
    throw refusal(
      'key_symmetric',
      `${source} is a symmetric key, which Keycloak uses for itself and publishes nowhere.`,
    )
  }
  if (publicKey === undefined) throw refusal('key_malformed', `${source} has no public half.`)
  const key = await buildKey({
    members: publicMembers(Buffer.from(publicKey, 'base64')).members,
    ...(kid !== undefined && { kid }),
    ...(algorithm !== undefined && { algorithm }),
    use: use === 'ENC' ? 'enc' : 'sig',
    source,
  })
  const certificates = certificate
    ? await attachedChain(key, [parseCertificate(Buffer.from(certificate, 'base64'))])
    : []
  const phaseHint = phaseOf(status, active.has(key.kid))
  return { ...key, certificates, ...(phaseHint && { phaseHint }) }
}

function phaseOf(status: string | undefined, isActive: boolean): PhaseHint | undefined {
  if (status === 'DISABLED') return 'disabled'
  if (status === 'PASSIVE') return 'old'
  return isActive ? 'active' : undefined
}
