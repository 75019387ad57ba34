import type { AdapterFactory } from 'oidc-provider'
import type { ArtifactAdapter, ArtifactStore } from '../artifacts/artifact-store.ts'
import type { JwtAccessTokens } from './jwt-access-tokens.ts'
import { limitPushedRequests } from './lifetimes.ts'
import { type MeteredOptions, meterUserCodes } from './metered.ts'
import { providerAdapters, providerExchange } from './outage.ts'
import {
  type AroundGrant,
  createTokenRequests,
  type TokenRequestsOptions,
} from './token-requests.ts'
import type { UsedUp } from './used-up.ts'
import { findUserinfoTokens } from './userinfo-tokens.ts'

/**
 * The adapters of oidc-provider's models, and the wrapper around the handler of each grant type.
 */
export interface Adapters {
  readonly adapter: AdapterFactory
  readonly grantHandler: AroundGrant
}

export interface AdaptersOptions extends Omit<TokenRequestsOptions, 'adapters' | 'exchange'> {
  readonly artifacts: Pick<ArtifactStore, 'adapter' | 'exchange'>
  readonly usedUp: Pick<UsedUp, 'note' | 'giveBack'>
  readonly userCodes: MeteredOptions
  /** Seconds that a pushed authorization request lives. */
  readonly pushedRequest: number
  readonly jwtAccessTokens: Pick<JwtAccessTokens, 'read'>
}

/**
 * The adapters of one issuer, made once for all instances of its provider. The layers from the
 * store outwards: for every model, failures of the store become outages and consumption is noted;
 * what a request at the token endpoint consumes and issues waits for its answer; three models have
 * a rule of their own.
 */
export function createAdapters(options: AdaptersOptions): Adapters {
  const { artifacts, usedUp, userCodes, pushedRequest, jwtAccessTokens } = options
  const stored = providerAdapters((model) => artifacts.adapter(model), usedUp)
  const exchange = providerExchange(artifacts, usedUp)
  const requests = createTokenRequests({ ...options, adapters: stored, exchange })
  const rules: Readonly<Record<string, (adapter: ArtifactAdapter) => ArtifactAdapter>> = {
    DeviceCode: (adapter) => meterUserCodes(adapter, userCodes),
    PushedAuthorizationRequest: (adapter) => limitPushedRequests(adapter, pushedRequest),
    AccessToken: (adapter) => findUserinfoTokens(adapter, jwtAccessTokens),
  }
  return {
    adapter: (model) => {
      const adapter = requests.adapters(model)
      return rules[model]?.(adapter) ?? adapter
    },
    grantHandler: requests.handler,
  }
}
