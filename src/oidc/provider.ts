import {
  type AdapterFactory,
  type Configuration,
  Provider,
  type TokenEndpointGrantContext,
} from 'oidc-provider'
import { compareSecret } from '../clients/client-secret.ts'
import { FAPI2, FAPI2_ALGORITHMS } from '../clients/fapi2.ts'
import { previousSecrets } from '../clients/previous-secrets.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { RingStale } from '../errors.ts'
import type { KeyState, Phase } from '../ring/lifecycle.ts'
import type { Authorize } from '../ring/may-sign.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingKey } from '../ring/seal.ts'
import type { RingView } from '../ring/view.ts'
import type { CookieKeys } from './cookie-keys.ts'
import { cookieNames } from './cookie-names.ts'
import { RingSigningKey } from './ring-signing-key.ts'
import type { AroundGrant } from './token-requests.ts'

export interface ProviderOptions {
  readonly issuer: string
  /** Everything that does not depend on keys. */
  readonly settings: Configuration
  readonly adapter: AdapterFactory
  /** Goes around the handler of each grant type. */
  readonly grantHandler: AroundGrant
  readonly policies: RotationPolicies
  /** To which all clients are held. */
  readonly profile: IssuerConfig['profile']
  readonly authorize: Authorize
}

/**
 * Builds the oidc-provider instance for one ring view. It reads its keys once, in its constructor,
 * and is never changed afterwards: another view gets another instance (`current-provider.ts`).
 *
 * Its key set holds what is published and, so that logout with an old `id_token_hint` keeps
 * working, what is archived. Revoked keys are not in it.
 */
export function buildProvider(
  view: RingView,
  cookieKeys: CookieKeys,
  options: ProviderOptions,
): Provider {
  const { issuer, settings, adapter, grantHandler, policies, profile, authorize } = options
  const states = view.states.filter((state) => state.key.publicJwk && state.phase !== 'revoked')
  const phaseOf = ({ key, phase }: KeyState<RingKey>): Phase =>
    // A ring that is not configured any more verifies what it signed and signs no more.
    phase === 'active' && !policies.policyFor(key.ring).configured ? 'retired' : phase
  const keys = states
    .map((state) =>
      isStandIn(state, view) && policies.policyFor(state.key.ring).configured
        ? new RingSigningKey(state.key, 'active', refuseFor(state.key.ring))
        : new RingSigningKey(state.key, phaseOf(state), authorize),
    )
    .sort((a, b) => Number(b.isActive) - Number(a.isActive))

  // Only what a key can sign today is offered; a client that needs more is told so.
  const algorithms = keys.filter((key) => key.isActive).map((key) => key.alg)
  const secure = issuer.startsWith('https:')
  const { session, interaction, resume } = cookieNames(issuer)
  const cookie = { httpOnly: true, sameSite: 'lax', secure } as const
  const WithGrantHandler = aroundGrants(grantHandler)
  const provider = new WithGrantHandler(issuer, {
    ...settings,
    adapter,
    // The types know JWKs, not yet the keys of the experimental feature below.
    jwks: { keys } as unknown as NonNullable<Configuration['jwks']>,
    ...signingWith(algorithms, profile),
    cookies: {
      keys: cookieKeys,
      names: { session, interaction, resume },
      long: cookie,
      short: cookie,
    },
    features: {
      ...settings.features,
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
    },
  })
  // Its maintainer counts this method to the public API, for hashed secrets (panva/node-oidc-provider,
  // discussion 1410). The class is this instance's own.
  provider.Client.prototype.compareClientSecret = function compareClientSecret(given) {
    if (compareSecret(this.clientSecret, given)) return true
    return previousSecrets(this).some(({ secret }) => compareSecret(secret, given))
  }
  return provider
}

/**
 * Where the active key of a ring was revoked and the next one could not be promoted yet, as when the store
 * went away in between, the next one stands in for it: oidc-provider would take the ring for one that was
 * never there, and blame the client or answer 500. Whatever asks for its signature is answered 503.
 */
function isStandIn({ key }: KeyState<RingKey>, { states }: RingView): boolean {
  const ofRing = states.filter((state) => state.key.ring === key.ring)
  if (ofRing.some(({ phase }) => phase === 'active')) return false
  if (!ofRing.some(({ phase }) => phase === 'revoked')) return false
  return ofRing.find(({ phase, key }) => phase === 'pre-active' && key.publicJwk)?.key === key
}

function refuseFor(ring: string): Authorize {
  return () => {
    throw new RingStale(
      `Ring ${ring} has no key that may sign at the moment: its key was revoked, and the next one is not promoted yet.`,
    )
  }
}

/**
 * oidc-provider registers its own grant types by the method by which others are added: in its constructor,
 * so that a field would come too late.
 */
function aroundGrants(around: AroundGrant): typeof Provider {
  return class extends Provider {
    override registerGrantType<Params extends object>(
      name: string,
      handler: (ctx: TokenEndpointGrantContext<Params>) => void | Promise<void>,
      parameters?: GrantParameters,
      duplicates?: GrantParameters,
    ): void {
      super.registerGrantType(name, around(name, handler), parameters, duplicates)
    }
  }
}

type GrantParameters = string | readonly string[] | ReadonlySet<string>

/**
 * What a provider that signs with these algorithms and no others offers, as far as its profile lets it, and what a client has that does
 * not say: RS256 (JARM, section 3; RFC 9701, section 6) where that is among them, and else the first.
 */
export function signingWith(
  active: readonly string[],
  profile: IssuerConfig['profile'],
): Pick<Configuration, 'enabledJWA' | 'clientDefaults'> {
  const mayBeUsed = (algorithm: string) => profile !== FAPI2 || FAPI2_ALGORITHMS.includes(algorithm)
  const algorithms = active.filter(mayBeUsed)
  const unlessTold = algorithms.includes('RS256') ? 'RS256' : algorithms[0]
  return {
    enabledJWA: {
      idTokenSigningAlgValues: algorithms,
      userinfoSigningAlgValues: algorithms,
      introspectionSigningAlgValues: algorithms,
      authorizationSigningAlgValues: algorithms,
      ...(profile === FAPI2 ? { clientAuthSigningAlgValues: FAPI2_ALGORITHMS } : {}),
      // The types list the algorithms one by one; rings name them as text.
    } as NonNullable<Configuration['enabledJWA']>,
    clientDefaults: {
      authorization_signed_response_alg: unlessTold,
      introspection_signed_response_alg: unlessTold,
    } as NonNullable<Configuration['clientDefaults']>,
  }
}
