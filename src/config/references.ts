import type { Violation } from '../errors.ts'
import { COOKIE_RING, isSignatureAlgorithm, signatureRing } from '../keys/policy.ts'
import type { Settings } from './schema.ts'

/** Resources and clients: each stands once, and what it wants signed has a ring that signs. */

export function brokenReferences(settings: Settings): readonly Violation[] {
  const { resources, clients } = settings
  const identifiers = resources.map((resource) => resource.identifier)
  const clientIds = clients.map((client) => client.client_id)
  return [
    ...wantedAlgorithms(settings).flatMap((wanted) => algorithmBound(settings, wanted)),
    ...repeated(identifiers, 'resources', 'identifier'),
    ...repeated(clientIds, 'clients', 'client_id'),
  ]
}

interface WantedAlgorithm {
  readonly path: string
  readonly algorithm: string
  /** Nobody wrote it: it is what the specification says then. */
  readonly isImplied?: boolean
}

function wantedAlgorithms({ resources, clients }: Settings): readonly WantedAlgorithm[] {
  const ofResources = resources.flatMap(({ tokenFormat, algorithm }, index) =>
    tokenFormat === 'jwt' ? [{ path: `resources.${index}.algorithm`, algorithm }] : [],
  )
  const ofClients = clients.flatMap((client, index) => {
    const want = (name: string, algorithm: string | undefined, isImplied = false) =>
      algorithm === undefined ? [] : [{ path: `clients.${index}.${name}`, algorithm, isImplied }]
    // OpenID Connect Registration 1.0, section 2: RS256 if omitted.
    const { id_token_signed_response_alg: idToken } = client
    return [
      ...want('id_token_signed_response_alg', idToken ?? 'RS256', idToken === undefined),
      ...want('userinfo_signed_response_alg', client.userinfo_signed_response_alg),
      ...want('introspection_signed_response_alg', client.introspection_signed_response_alg),
      ...want('authorization_signed_response_alg', client.authorization_signed_response_alg),
    ]
  })
  return [...ofResources, ...ofClients]
}

function algorithmBound(settings: Settings, wanted: WantedAlgorithm): readonly Violation[] {
  const { path, algorithm, isImplied = false } = wanted
  const rings = Object.keys(settings.rotation.rings).filter((ring) => ring !== COOKIE_RING)
  if (rings.includes(signatureRing(algorithm))) return []

  const implied = isImplied ? ', which is used where a client does not say' : ''
  const message = `no ring signs with ${algorithm}${implied}`
  const others = rings.map((ring) => ring.slice(ring.indexOf('/') + 1)).join(' or ')
  const changes = [
    ...(others === '' ? [] : [`set ${path} to ${others}`]),
    ...(isSignatureAlgorithm(algorithm)
      ? [`add ${signatureRing(algorithm)}: {} to rotation.rings`]
      : []),
  ]
  const fix = changes.join(', or ') || `remove ${path}`
  return [{ path, value: isImplied ? null : algorithm, rule: 'algorithm-ring', message, fix }]
}

function repeated(values: readonly string[], list: string, name: string): readonly Violation[] {
  return values.flatMap((value, index) => {
    const first = values.indexOf(value)
    if (first === index) return []
    const path = `${list}.${index}.${name}`
    const message = `${list}.${first} has the same ${name}`
    return [{ path, value, rule: 'repeated', message, fix: `remove or rename ${list}.${index}` }]
  })
}
