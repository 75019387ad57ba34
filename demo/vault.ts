import { randomBytes } from 'node:crypto'
import { systemClock } from '../src/clock.ts'

/** Keeps values in memory under unguessable names for a limited time. */
export interface Vault<T> {
  /** @returns the name of the value */
  put(value: T): string
  get(name: string | undefined): T | undefined
  /** Replaces a value if its name still exists. */
  replace(name: string, value: T): void
  remove(name: string | undefined): void
  removeWhere(matches: (value: T) => boolean): void
}

/** @param lifetime seconds from `put` */
export function createVault<T>(lifetime: number): Vault<T> {
  const values = new Map<string, { value: T; expiresAt: number }>()
  const dropExpired = () => {
    const now = systemClock.now()
    for (const [name, { expiresAt }] of values) if (expiresAt <= now) values.delete(name)
  }

  return {
    put(value) {
      dropExpired()
      const name = randomBytes(24).toString('base64url')
      values.set(name, { value, expiresAt: systemClock.now() + lifetime })
      return name
    },
    get(name = '') {
      dropExpired()
      return values.get(name)?.value
    },
    replace(name, value) {
      const held = values.get(name)
      if (held) values.set(name, { ...held, value })
    },
    remove(name = '') {
      values.delete(name)
    },
    removeWhere(matches) {
      for (const [name, { value }] of values) if (matches(value)) values.delete(name)
    },
  }
}
