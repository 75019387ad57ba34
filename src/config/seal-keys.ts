import { KekEmpty, KekUnreadable, type Violation } from '../errors.ts'
import { environmentKeks } from '../seal/kek-text.ts'
import type { Settings } from './schema.ts'

/** Rule of `seal.keys`: without a key-encryption key nothing can be sealed or opened. Pure. */
export function brokenSealKeys({ seal }: Settings): readonly Violation[] {
  if (seal.protector !== 'environment') return []
  const path = 'seal.keys'
  const message = sealProblem(seal.keys)
  if (message === undefined) return []
  const fix =
    'set KEYTURN_SEAL__KEYS, or KEYTURN_SEAL__KEYS_FILE to a file that holds it; make one with: ' +
    'openssl rand -base64 32'
  return [{ path, value: seal.keys === null ? null : '***', rule: 'seal-keys', message, fix }]
}

function sealProblem(keys: string | null): string | undefined {
  if (keys === null) return 'seal.protector is environment, but no key-encryption key is given'
  try {
    environmentKeks(keys)
    return undefined
  } catch (error) {
    if (error instanceof KekEmpty || error instanceof KekUnreadable) return error.message
    throw error
  }
}
