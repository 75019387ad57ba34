import { unsignedAlgorithm } from '../clients/rules/answers.ts'
import type { Violation } from '../errors.ts'
import { signingAlgorithms } from './client-context.ts'
import type { Settings } from './schema.ts'
import { resource } from './sections/tokens.ts'

/**
 * Rules of `resources`: each identifier occurs once, a ring signs the tokens of each resource, each
 * described scope exists, no scope is one of OpenID Connect, and nothing is set that has no effect.
 */

export function brokenReferences(settings: Settings): readonly Violation[] {
  return [
    ...unsignedResources(settings),
    ...repeatedResources(settings),
    ...strayDescriptions(settings),
    ...idleResources(settings),
    ...idleClaims(settings),
    ...settings.resources.flatMap(({ scopes }, index) =>
      openidScopesOfApi(scopes, `resources.${index}.scopes`),
    ),
  ]
}

/** Scopes by which userinfo recognizes its tokens, and by which a client gets refresh tokens. */
const RESERVED: readonly string[] = ['openid', 'offline_access']

function openidScopesOfApi(scopes: readonly string[], path: string): readonly Violation[] {
  return scopes.flatMap((scope, index) => {
    if (!RESERVED.includes(scope)) return []
    const message = `${scope} is a scope of OpenID Connect, with a meaning of its own`
    const at = `${path}.${index}`
    return [{ path: at, value: scope, rule: 'api-scope', message, fix: `rename or remove ${at}` }]
  })
}

function unsignedResources({ resources, rotation }: Settings): readonly Violation[] {
  const algorithms = signingAlgorithms(rotation)
  return resources.flatMap(({ tokenFormat, algorithm }, index) => {
    if (tokenFormat !== 'jwt') return []
    return unsignedAlgorithm({ path: `resources.${index}.algorithm`, algorithm }, algorithms)
  })
}

/** Settings of JWTs that no token has. */
function idleResources({ resources }: Settings): readonly Violation[] {
  return resources.flatMap(({ tokenFormat, ...api }, index) =>
    (['algorithm', 'typ'] as const).flatMap((name) => {
      if (tokenFormat === 'jwt' || api[name] === OF_JWTS[name]) return []
      const path = `resources.${index}.${name}`
      const message = 'it has no effect, because tokenFormat is opaque'
      const fix = `remove ${path}, or set tokenFormat to jwt`
      return [{ path, value: api[name], rule: 'no-effect', message, fix }]
    }),
  )
}

const OF_JWTS = resource.pick({ algorithm: true, typ: true }).parse({})

function idleClaims({ claims }: Settings): readonly Violation[] {
  const value = claims.openid
  if (value === undefined) return []
  const path = 'claims.openid'
  const message = 'it has no effect, because the scope openid gives sub and nothing else'
  const fix = `move its claims to another scope, such as profile, and remove ${path}`
  return [{ path, value, rule: 'no-effect', message, fix }]
}

function strayDescriptions({ resources }: Settings): readonly Violation[] {
  return resources.flatMap(({ scopes, scopeDescriptions }, index) =>
    Object.entries(scopeDescriptions).flatMap(([scope, value]) => {
      if (scopes.includes(scope)) return []
      const path = `resources.${index}.scopeDescriptions.${scope}`
      const message = `resources.${index}.scopes does not have the scope ${scope}`
      const fix = `add ${scope} to resources.${index}.scopes, or remove its description`
      return [{ path, value, rule: 'unknown-scope', message, fix }]
    }),
  )
}

function repeatedResources({ resources }: Settings): readonly Violation[] {
  const identifiers = resources.map((resource) => resource.identifier)
  return identifiers.flatMap((value, index) => {
    const first = identifiers.indexOf(value)
    if (first === index) return []
    const path = `resources.${index}.identifier`
    const message = `resources.${first} has the same identifier`
    return [{ path, value, rule: 'repeated', message, fix: `remove or rename resources.${index}` }]
  })
}
