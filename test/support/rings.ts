import { type KeyEvent, type KeyFacts, keyEvent } from '../../src/ring/key.ts'
import type { RingFacts } from '../../src/ring/lifecycle.ts'
import type { RingPolicy, RotationPolicies } from '../../src/ring/policy.ts'

/** Small numbers that satisfy the bounds, so that a table of instants can be read. */
export const POLICY: RingPolicy = {
  ring: 'sig/ES256',
  algorithm: 'ES256',
  configured: true,
  published: true,
  cryptoperiod: 1000,
  propagation: 100,
  retention: 200,
  archive: 500,
  standby: true,
  maxRingAge: 40,
  clockSkew: 5,
}

export function policiesOf(...rings: readonly RingPolicy[]): RotationPolicies {
  return {
    rings: rings.filter((ring) => ring.configured),
    policyFor: (name) =>
      rings.find((ring) => ring.ring === name) ?? {
        ...POLICY,
        ring: name,
        algorithm: name.replace('sig/', ''),
        configured: false,
        published: name.startsWith('sig/'),
      },
  }
}

/** A key of generation `generation`, named `k` and its generation. */
export function key(generation: number, facts: Partial<KeyFacts> = {}): KeyFacts {
  return {
    kid: `k${generation}`,
    ring: POLICY.ring,
    generation,
    algorithm: 'ES256',
    createdAt: 0,
    activatesAt: 0,
    retention: POLICY.retention,
    hasPrivateHalf: true,
    ...facts,
  }
}

const RECORD = { ring: POLICY.ring, reason: 'test', actor: 'test' } as const

export function revoked(kid: string, at: number): KeyEvent {
  return keyEvent({ ...RECORD, type: 'revoke', kid, place: null, at })
}

export function revokedBefore(createdBefore: number, at: number): KeyEvent {
  return keyEvent({ ...RECORD, type: 'revoke-before', createdBefore, places: [], at })
}

export function promoted(kid: string, activatesAt: number, at = activatesAt): KeyEvent {
  return keyEvent({ ...RECORD, type: 'promote', kid, activatesAt, at })
}

export function facts(keys: readonly KeyFacts[], events: readonly KeyEvent[] = []): RingFacts {
  return { keys, events }
}
