import type { ArtifactRecord, FoundRecord } from '../artifacts/artifact-record.ts'
import { parse } from './stored-text.ts'

/** Names of the keys of artifacts, as `redis-artifacts.ts` draws them. */

/** Models that are found by another field too, with the letter of the keys of their copies. */
const COPIES = { Session: 'u', DeviceCode: 'c' } as const

/** Models, by the letter of their copies. */
const MODEL_OF_COPY: Readonly<Record<string, string>> = { u: 'Session', c: 'DeviceCode' }

/** True if artifacts of the model have a copy under another field. */
export function isCopied(model: string): boolean {
  return model in COPIES
}

/** Keys of the artifacts of a model. Copies are named without the prefix. */
export function artifactKeys(model: string, prefix: string) {
  const memberOf = (name: string, of = model) => `{${of}:${name}}`
  const keyOfMember = (member: string) => `${prefix}a:${member}`
  return {
    /** Entry of the sorted set of a grant. */
    memberOf,
    keyOfMember,
    keyOf: (name: string, of = model) => keyOfMember(memberOf(name, of)),
    grantKey: (name: string) => `${prefix}g:{${name}}`,
    copyKey: (copy: string) => `${prefix}${copy}`,
    copyOf: ({ uid, userCode }: Pick<ArtifactRecord, 'uid' | 'userCode'>) => {
      if (model === 'Session' && uid !== null) return copyByUid(uid)
      if (model === 'DeviceCode' && userCode !== null) return copyByUserCode(userCode)
      return undefined
    },
  }
}

export function copyByUid(uid: string): string {
  return `${COPIES.Session}:{${uid}}`
}

export function copyByUserCode(userCode: string): string {
  return `${COPIES.DeviceCode}:{${userCode}}`
}

/** Parses an artifact or a copy, with model and id from its key. */
export function parseAt(key: string, prefix: string, stored: string): FoundRecord {
  const [, letter = '', inner = ''] = /^([auc]):\{(.*)\}$/.exec(key.slice(prefix.length)) ?? []
  const ofCopy = MODEL_OF_COPY[letter]
  if (ofCopy !== undefined) return parse(stored, { model: ofCopy, name: undefined })
  const [model = '', name = ''] = inner.split(':')
  return parse(stored, { model, name })
}
