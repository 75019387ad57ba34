import type { Violation } from '../../errors.ts'
import { isSignatureAlgorithm } from '../../ring/algorithms.ts'
import { signatureRing } from '../../ring/policy.ts'
import type { ClientContext } from '../context.ts'
import { OPTIONAL_ANSWERS, SIGNED_ANSWERS, type SignedAnswer } from '../signed-answers.ts'
import type { ClientRule, RuledClient } from './rule.ts'

/** What a client may get, and who signs it. */

export const ANSWER_RULES: readonly ClientRule[] = [
  { needs: ['scope'], check: scopeRule },
  { needs: [], check: signingRule },
]

/** OpenID Connect Registration 1.0, section 2: RS256 if omitted. */
const DEFAULT_ALGORITHM = 'RS256'

function scopeRule({ scope }: RuledClient, context: ClientContext): readonly Violation[] {
  const unknown = (scope?.split(' ') ?? []).filter((name) => !context.scopes.includes(name))
  return unknown.map((name) => {
    const api = context.resources.find(({ scopes }) => scopes.includes(name))
    const message = api
      ? `"${name}" is a scope of the API ${api.identifier}, and this property is about OpenID scopes`
      : `"${name}" is no OpenID scope that Keyturn knows`
    const known = `remove ${name} from scope, of which ${context.scopes.join(', ')} may be in it`
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
  /** Nobody wrote it: it is what the specification says then. */
  readonly isImplied?: boolean
}

/** Something is to be signed for which there is no ring. @param algorithms of the rings */
export function unsignedAlgorithm(
  { path, algorithm, isImplied = false }: SigningProperty,
  algorithms: readonly string[],
): readonly Violation[] {
  if (algorithms.includes(algorithm)) return []
  const implied = isImplied ? ', which is used where a client does not say' : ''
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
