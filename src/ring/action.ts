import type { KeyEvent, KeyFacts, RingName } from './key.ts'
import type { RingFacts } from './lifecycle.ts'

/**
 * Actions on a ring, as plain values: a plan is a list of actions (`plan.ts`), and `rotate.ts`
 * applies them.
 */

export interface CreateAction {
  readonly type: 'create'
  readonly ring: RingName
  readonly generation: number
  readonly algorithm: string
  readonly createdAt: number
  readonly activatesAt: number
  readonly retention: number
  readonly reason: string
}

export interface KeyAction {
  readonly type: 'erase' | 'delete'
  readonly ring: RingName
  readonly kid: string
  readonly reason: string
}

export interface EventAction {
  readonly type: 'record'
  readonly ring: RingName
  readonly event: KeyEvent
  readonly reason: string
}

export type Action = CreateAction | KeyAction | EventAction

/** The facts after an action; a key that has yet to be made gets a stand-in kid. */
export function assume(facts: RingFacts, action: Action): RingFacts {
  switch (action.type) {
    case 'create': {
      const { type, reason, ...key } = action
      const kid = `${key.ring}#${key.generation}`
      return { ...facts, keys: [...facts.keys, { ...key, kid, hasPrivateHalf: true }] }
    }
    case 'record':
      return { ...facts, events: [...facts.events, action.event] }
    case 'erase': {
      const erase = (key: KeyFacts) =>
        key.kid === action.kid ? { ...key, hasPrivateHalf: false } : key
      return { ...facts, keys: facts.keys.map(erase) }
    }
    case 'delete':
      return { ...facts, keys: facts.keys.filter((key) => key.kid !== action.kid) }
  }
}
