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
import type { Authorize } from '../ring/may-sign.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingView } from '../ring/view.ts'
import type { CookieKeys } from './cookie-keys.ts'
import { cookieNames } from './cookie-names.ts'
import { signingKeys } from './signing-keys.ts'
import type { AroundGrant } from './token-requests.ts'

export interface ProviderOptions {
  readonly issuer: string
  /** Everything that does not depend on keys. */
  readonly settings: Configuration
  readonly adapter: AdapterFactory
  /** Wraps the handler of each grant type. */
  readonly grantHandler: AroundGrant
  readonly policies: RotationPolicies
  /** Profile to which all clients are held. */
  readonly profile: IssuerConfig['profile']
  readonly authorize: Authorize
}

/**
 * Builds the oidc-provider instance for one ring view. An instance reads its keys once, in its
 * constructor, so another view needs another instance (`current-provider.ts`).
 *
 * The key set has the published keys and, so that logout with an old `id_token_hint` keeps working,
 * the archived ones. Revoked keys are not in it.
 */
export function buildProvider(
  view: RingView,
  cookieKeys: CookieKeys,
  options: ProviderOptions,
): Provider {
  const { issuer, settings, adapter, grantHandler, policies, profile, authorize } = options
  const keys = signingKeys(view, policies, authorize)

  // Only algorithms with an active key are offered; clients that need others get an error.
  const algorithms = keys.filter((key) => key.isActive).map((key) => key.alg)
  const secure = issuer.startsWith('https:')
  const { session, interaction, resume } = cookieNames(issuer)
  const cookie = { httpOnly: true, sameSite: 'lax', secure } as const
  const WithGrantHandler = aroundGrants(grantHandler)
  const provider = new WithGrantHandler(issuer, {
    ...settings,
    adapter,
    // The types allow JWKs only, not the keys of the experimental feature below.
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
  // The maintainer declared this method public API for hashed secrets (panva/node-oidc-provider,
  // discussion 1410). The class belongs to this instance alone.
  provider.Client.prototype.compareClientSecret = function compareClientSecret(given) {
    if (compareSecret(this.clientSecret, given)) return true
    return previousSecrets(this).some(({ secret }) => compareSecret(secret, given))
  }
  return provider
}

/**
 * Overrides the method by which oidc-provider registers its grant types. It does so in its
 * constructor, so a field of an instance would be set too late.
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
 * Settings of a provider that signs with these algorithms only: what it offers, as far as its
 * profile allows, and the default of clients that name no algorithm. The default is RS256 (JARM,
 * section 3; RFC 9701, section 6) if available, otherwise the first algorithm.
 */
export function signingWith(
  active: readonly string[],
  profile: IssuerConfig['profile'],
): Pick<Configuration, 'enabledJWA' | 'clientDefaults'> {
  const mayBeUsed = (algorithm: string) => profile !== FAPI2 || FAPI2_ALGORITHMS.includes(algorithm)
  const algorithms = active.filter(mayBeUsed)
  const defaultAlgorithm = algorithms.includes('RS256') ? 'RS256' : algorithms[0]
  return {
    enabledJWA: {
      idTokenSigningAlgValues: algorithms,
      userinfoSigningAlgValues: algorithms,
      introspectionSigningAlgValues: algorithms,
      authorizationSigningAlgValues: algorithms,
      ...(profile === FAPI2 ? { clientAuthSigningAlgValues: FAPI2_ALGORITHMS } : {}),
      // The types list the algorithms one by one; a ring has its algorithm as text.
    } as NonNullable<Configuration['enabledJWA']>,
    clientDefaults: {
      authorization_signed_response_alg: defaultAlgorithm,
      introspection_signed_response_alg: defaultAlgorithm,
    } as NonNullable<Configuration['clientDefaults']>,
  }
}
