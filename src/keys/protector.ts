import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { base64url, calculateJwkThumbprint } from 'jose'
import { z } from 'zod'
import { KekEmpty, KekMissing, KekUnreadable, StoreUnavailable } from '../errors.ts'
import { createFile } from '../whole-file.ts'
import type { KeyStore } from './key-store.ts'
import { createSealer, type Kek, type Sealer } from './seal.ts'

/** Where key-encryption keys come from. */
export interface Protector {
  /**
   * All key-encryption keys, newest first.
   * @throws KekMissing, KekEmpty, KekUnreadable: three different things to mend
   */
  load(): Promise<readonly Kek[]>
  /** Makes the first one. Absent where keys are provided from outside. */
  create?(): Promise<void>
}

const KEK_BYTES = 32

/** A JWK's `k` (RFC 7518, section 6.4.1): base64url of the secret. */
const k = z
  .string()
  .refine((text) => base64url.decode(text).length === KEK_BYTES, `must be ${KEK_BYTES} bytes`)

const kekSet = z.object({ keys: z.array(z.object({ kty: z.literal('oct'), k })).min(1) })

/** A JWK Set file (RFC 7517) of symmetric keys, newest first; made with mode 0600. */
export function fileProtector(path: string): Protector {
  return {
    load: async () => {
      const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT')
          throw new KekMissing(`The key-encryption key file ${path} is missing.`)
        throw new KekUnreadable(
          `The key-encryption key file ${path} cannot be read: ${cause.message}`,
          cause,
        )
      })
      return toKeks(parseSecrets(text, `key-encryption key file ${path}`))
    },
    create: async () => {
      const k = base64url.encode(randomBytes(KEK_BYTES))
      const text = `${JSON.stringify({ keys: [{ kty: 'oct', k }] }, null, 2)}\n`
      const made = mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await made
        .then(() => createFile(path, text))
        .catch((cause: Error) => {
          throw new StoreUnavailable(
            `Cannot make the key-encryption key file ${path}: ${cause.message}`,
            cause,
          )
        })
    },
  }
}

/**
 * Key-encryption keys given by the environment (`KEYTURN_SEAL__KEYS`, or a file named by
 * `KEYTURN_SEAL__KEYS_FILE`): a JWK Set, or 32-byte keys in base64url separated by commas.
 */
export function environmentProtector(text: string | undefined): Protector {
  return {
    load: async () => {
      if (text === undefined) {
        throw new KekMissing('seal.protector is "environment", but KEYTURN_SEAL__KEYS is not set.')
      }
      return toKeks(environmentSecrets(text))
    },
  }
}

/**
 * The secrets in the setting `seal.keys`, newest first, each as a JWK's `k`.
 * @throws KekEmpty, KekUnreadable
 */
export function environmentSecrets(text: string): readonly string[] {
  const source = 'key-encryption key setting seal.keys'
  if (text.trim() === '' || text.trim().startsWith('{')) return parseSecrets(text, source)
  const keys = text.split(',').map((k) => ({ kty: 'oct', k: k.trim() }))
  return parseSecrets(JSON.stringify({ keys }), source)
}

function parseSecrets(text: string, source: string): readonly string[] {
  if (text.trim() === '') throw new KekEmpty(`The ${source} is empty. Restore it from a backup.`)
  try {
    return kekSet.parse(JSON.parse(text)).keys.map((jwk) => jwk.k)
  } catch (cause) {
    throw new KekUnreadable(
      `The ${source} is neither a JWK Set of 256-bit symmetric keys nor, in a setting, such keys in ` +
        'base64url with commas between. If it was good before, restore it from a backup.',
      // What JSON.parse says quotes the text.
      cause instanceof SyntaxError ? undefined : cause,
    )
  }
}

function toKeks(secrets: readonly string[]): Promise<readonly Kek[]> {
  return Promise.all(
    secrets.map(async (k) => ({
      kid: await calculateJwkThumbprint({ kty: 'oct', k }, 'sha256'),
      secret: base64url.decode(k),
    })),
  )
}

/**
 * A sealer with the key-encryption keys of a protector. On a first start, when neither they nor any
 * key exist, the protector makes one.
 * @throws KekMissing where they are gone but keys are sealed under them; nothing is made then
 * @throws KekEmpty, KekUnreadable
 */
export async function openSealer(protector: Protector, store: KeyStore): Promise<Sealer> {
  const open = async () => reloading(createSealer(await protector.load()), protector)
  try {
    return await open()
  } catch (error) {
    if (!(error instanceof KekMissing)) throw error
    const { keys } = await store.load()
    if (keys.length > 0) {
      throw new KekMissing(
        `${error.message} ${keys.length} keys are sealed under it and cannot be opened without it. ` +
          'Restore it from a backup; a new one would not open them.',
      )
    }
    if (!protector.create) throw error
    await protector.create()
    return open()
  }
}

/** Looks once more for the key-encryption key that a key needs: it may have been added since. */
function reloading(first: Sealer, protector: Protector): Sealer {
  let sealer = first
  return {
    seal: (facts, jwk) => sealer.seal(facts, jwk),
    erase: (key) => sealer.erase(key),
    open: (record) =>
      sealer.open(record).catch(async (error: unknown) => {
        if (!(error instanceof KekMissing)) throw error
        sealer = createSealer(await protector.load())
        return sealer.open(record)
      }),
  }
}
