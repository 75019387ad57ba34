import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { base64url } from 'jose'
import { readBoundedText } from '../bounded-file.ts'
import { KekMissing, KekUnreadable, StoreUnavailable } from '../errors.ts'
import { makePrivateFolder } from '../private-folder.ts'
import type { Protector } from '../ring/protector.ts'
import { createFile } from '../whole-file.ts'
import { environmentKeks, KEK_BYTES, keksOf, readKekSet } from './kek-text.ts'

/** A JWK Set file (RFC 7517) of symmetric keys, newest first; made with mode 0600. */
export function fileProtector(path: string): Protector {
  return {
    load: async () => {
      const text = await readBoundedText(path, KEK_FILE_BYTES_MAX).catch(
        (cause: NodeJS.ErrnoException) => {
          if (cause.code === 'ENOENT')
            throw new KekMissing(`The key-encryption key file ${path} is missing.`)
          throw new KekUnreadable(
            `The key-encryption key file ${path} cannot be read: ${cause.message}`,
            cause,
          )
        },
      )
      return keksOf(readKekSet(text, `key-encryption key file ${path}`))
    },
    create: async () => {
      const k = base64url.encode(randomBytes(KEK_BYTES))
      const text = `${JSON.stringify({ keys: [{ kty: 'oct', k }] }, null, 2)}\n`
      try {
        await makePrivateFolder(dirname(path))
        await createFile(path, text)
      } catch (error) {
        // Only the system's calls throw here.
        const { message } = error as NodeJS.ErrnoException
        throw new StoreUnavailable(
          `Cannot make the key-encryption key file ${path}: ${message}`,
          error,
        )
      }
    },
  }
}

/** Most bytes of a file of key-encryption keys, which are 32 bytes each. */
export const KEK_FILE_BYTES_MAX = 1024 * 1024

/**
 * Key-encryption keys given by the environment (`KEYTURN_SEAL__KEYS`, or a file named by
 * `KEYTURN_SEAL__KEYS_FILE`): a JWK Set, or keys of 32 bytes in base64 or base64url with commas
 * between.
 */
export function environmentProtector(text: string | undefined): Protector {
  return {
    load: async () => {
      if (text === undefined) {
        throw new KekMissing('seal.protector is "environment", but KEYTURN_SEAL__KEYS is not set.')
      }
      return keksOf(environmentKeks(text))
    },
  }
}
