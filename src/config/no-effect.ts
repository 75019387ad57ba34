import type { Violation } from '../errors.ts'
import { MASK } from '../schema/masked.ts'
import type { Settings } from './schema.ts'

/** Rule that nothing is set that another setting turns off, because it would go unnoticed. Pure. */
export function idleSettings({ seal, keyStore, redis }: Settings): readonly Violation[] {
  const violations: Violation[] = []
  if (seal.keys !== null && seal.protector !== 'environment') {
    violations.push(
      idle('seal.keys', MASK, {
        why: `seal.protector is ${seal.protector}, so that the keys in seal.file are used`,
        otherwise: 'seal.protector to environment',
      }),
    )
  }
  if (keyStore.module !== null && keyStore.type !== 'module') {
    violations.push(
      idle('keyStore.module', keyStore.module, {
        why: `keyStore.type is ${keyStore.type}`,
        otherwise: 'keyStore.type to module',
      }),
    )
  }
  if (redis.master !== DEFAULT_MASTER && redis.sentinels.length === 0) {
    violations.push(
      idle('redis.master', redis.master, {
        why: 'redis.sentinels names no Sentinel',
        otherwise: 'redis.sentinels to HOST:PORT of the Sentinels that watch it',
      }),
    )
  }
  return violations
}

/** The value of `default.yaml`, which nobody has set. */
const DEFAULT_MASTER = 'mymaster'

function idle(
  path: string,
  value: unknown,
  { why, otherwise }: { readonly why: string; readonly otherwise: string },
): Violation {
  const message = `it has no effect, because ${why}`
  return { path, value, rule: 'no-effect', message, fix: `remove ${path}, or set ${otherwise}` }
}
