import type { RpModel, Time } from './model.ts'
import { duration } from './story.ts'

/**
 * Describes how a relying party keeps a JWKS, in words for operators, from the numbers of its
 * model. Pure.
 * @example keepsInWords(jose) // '10 min, but fetches for an unknown kid every 30 s'
 */
export function keepsInWords(model: RpModel): string {
  const { keeps, lifetime, unknownKid, coolDown, poll = 0, oldSets } = model
  if (keeps === 'nothing') return 'no cache'
  if (keeps !== 'set') return `each key for ${timeInWords(lifetime)}`
  const every = coolDown.lasts === 0 ? '' : ` every ${timeInWords(coolDown.lasts)}`
  const kid = {
    refuse: '',
    fetch: `, but fetches for an unknown kid${every}`,
    'fetch behind': `, but fetches behind an unknown kid${every}`,
    'wait for poll': `, but polls for an unknown kid every ${duration(poll)}`,
  }[unknownKid]
  const old = oldSets ? `; sets before for ${duration(oldSets.believedFor)} more` : ''
  return `${lifetimeInWords(model)}${kid}${old}`
}

function lifetimeInWords({ lifetime, refresh, unknownKid, proof }: RpModel): string {
  if (lifetime === Infinity) {
    if (unknownKid !== 'refuse') return 'for ever'
    return proof === 'if restarted' ? 'from its start on' : 'pinned by hand'
  }
  return `${timeInWords(lifetime)}${refresh === 'behind' ? ', then behind the next request' : ''}`
}

function timeInWords(time: Time): string {
  if (typeof time === 'number') return duration(time)
  const { plus, least } = time
  const more = plus === 0 ? '' : ` ${plus > 0 ? '+' : '-'} ${duration(Math.abs(plus))}`
  return `max-age${more}${least > 60 ? `, at least ${duration(least)}` : ''}`
}
