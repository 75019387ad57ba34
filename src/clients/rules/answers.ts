import type { Violation } from '../../errors.ts'
import { isSignatureAlgorithm } from '../../ring/algorithms.ts'
import { signatureRing } from '../../ring/policy.ts'
import type { ClientContext } from '../context.ts'
import { OPTIONAL_ANSWERS, SIGNED_ANSWERS, type SignedAnswer } from '../signed-answers.ts'
import type { ClientRule, RuledClient } from './rule.ts'

/** Scopes that a client may ask for, and rings that sign its answers. */

export const ANSWER_RULES: readonly ClientRule[] = [
  { needs: ['scope'], check: scopeRule },
  { needs: [], check: signingRule },
]

/** Algorithm of ID tokens if none is given (OpenID Connect Registration 1.0, section 2). */
const DEFAULT_ALGORITHM = 'RS256'

function scopeRule({ scope }: RuledClient, context: ClientContext): readonly Violation[] {
  const unknown = (scope?.split(' ') ?? []).filter((name) => !context.scopes.includes(name))
  return unknown.map((name) => {
    const api = context.resources.find(({ scopes }) => scopes.includes(name))
    const message = api
      ? `"${name}" is a scope of the API ${api.identifier}, but only OpenID scopes belong here`
      : `"${name}" is not a known OpenID scope`
    const known = `remove ${name} from scope, which may have ${context.scopes.join(', ')}`
    const fix = api
      ? `remove ${name} from scope, and list it in resources, under ${api.identifier}`
      : known
    return { path: 'scope', value: scope, rule: 'scope', message, fix }
  })
}

function signingRule(client: RuledClient, { algorithms }: ClientContext): readonly Violation[] {
  return (Object.keys(SIGNED_ANSWERS) as SignedAnswer[]).flatMap((path) => {
    const asked = client[path]
    if (asked !== undefined) return unsignedAlgorithm({ path, algorithm: asked }, algorithms)
    if ((OPTIONAL_ANSWERS as readonly string[]).includes(path)) return []
    return unsignedAlgorithm({ path, algorithm: DEFAULT_ALGORITHM, isImplied: true }, algorithms)
  })
}

export interface SigningProperty {
  readonly path: string
  readonly algorithm: string
  /** True for the default of the specification, which nobody wrote. */
  readonly isImplied?: boolean
}

/** The violation if no ring signs with the algorithm. @param algorithms of the rings */
export function unsignedAlgorithm(
  { path, algorithm, isImplied = false }: SigningProperty,
  algorithms: readonly string[],
): readonly Violation[] {
  if (algorithms.includes(algorithm)) return []
  const implied = isImplied ? ', the default if the client names none' : ''
  const message = `no ring signs with ${algorithm}${implied}`
  const changes = [
    ...(algorithms.length === 0 ? [] : [`set ${path} to ${algorithms.join(' or ')}`]),
    ...(isSignatureAlgorithm(algorithm)
      ? [`add ${signatureRing(algorithm)}: {} to rotation.rings`]
      : []),
  ]
  const fix = changes.join(', or ') || `remove ${path}`
  return [{ path, value: isImplied ? null : algorithm, rule: 'algorithm-ring', message, fix }]
}
