import { FAPI2, FAPI2_ALGORITHMS, FAPI2_CLOCKS, FAPI2_CODE } from '../clients/fapi2.ts'
import { FAPI2_RULE } from '../clients/rules/fapi2.ts'
import type { Violation } from '../errors.ts'
import { formatDuration as text } from '../values/duration-text.ts'
import { signingAlgorithms } from './client-context.ts'
import type { Settings } from './schema.ts'

/**
 * Violations of the FAPI 2.0 Security Profile in the settings of a server that has this profile.
 * Pure.
 */
export function brokenProfile(settings: Settings): readonly Violation[] {
  if (settings.profile !== FAPI2) return []
  const problems = [
    ...lifetimes(settings),
    ...rotation(settings),
    ...clocks(settings),
    ...algorithms(settings),
  ]
  return problems.map(({ message, ...problem }) => ({
    ...problem,
    rule: FAPI2_RULE,
    message: `${message} (profile: fapi2, FAPI 2.0 Security Profile)`,
  }))
}

type Problem = Omit<Violation, 'rule'>

function lifetimes({ tokens }: Settings): readonly Problem[] {
  const { authorizationCode: lifetime } = tokens
  if (lifetime <= FAPI2_CODE) return []
  const path = 'tokens.authorizationCode'
  const most = text(FAPI2_CODE)
  const message = `it is ${text(lifetime)}, but must be at most ${most}`
  return [{ path, value: text(lifetime), message, fix: `set ${path} to at most ${most}` }]
}

function rotation({ tokens }: Settings): readonly Problem[] {
  if (tokens.refreshTokenRotation !== 'always') return []
  const path = 'tokens.refreshTokenRotation'
  const message = 'it is always, but refresh tokens must not rotate'
  return [{ path, value: 'always', message, fix: `set ${path} to never, or to auto` }]
}

function clocks({ tokens: { clockTolerance: tolerance } }: Settings): readonly Problem[] {
  const { least, most } = FAPI2_CLOCKS
  if (tolerance >= least && tolerance <= most) return []
  const path = 'tokens.clockTolerance'
  const range = `from ${least}s to ${most}s`
  const message = `it is ${text(tolerance)}, but must be ${range}`
  return [{ path, value: text(tolerance), message, fix: `set ${path} to a value ${range}` }]
}

function algorithms({ resources, rotation }: Settings): readonly Problem[] {
  const names = FAPI2_ALGORITHMS.join(', ')
  const usable = signingAlgorithms(rotation).filter((name) => FAPI2_ALGORITHMS.includes(name))
  const ofResources = resources.flatMap(({ tokenFormat, algorithm }, index) => {
    if (tokenFormat !== 'jwt' || FAPI2_ALGORITHMS.includes(algorithm)) return []
    const path = `resources.${index}.algorithm`
    const message = `it is ${algorithm}, but must be one of ${names}`
    const fix = `set ${path} to ${usable.join(' or ') || 'ES256'}, or tokenFormat to opaque`
    return [{ path, value: algorithm, message, fix }]
  })
  if (usable.length > 0) return ofResources
  const path = 'rotation.rings'
  const message = `no ring signs with one of ${names}, and others must not sign`
  const fix = `add sig/ES256: {} to ${path}`
  return [...ofResources, { path, value: Object.keys(rotation.rings), message, fix }]
}
