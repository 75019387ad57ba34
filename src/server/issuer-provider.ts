import type { Configuration, Provider } from 'oidc-provider'
import { type Brand, createBrand } from '../http/brand.ts'
import { createLoadExistingGrant } from '../http/consent.ts'
import { providerPages } from '../http/pages.ts'
import { createPublishedDocuments, type PublishedDocuments } from '../http/published.ts'
import { createViews, type Views } from '../http/views.ts'
import { createFindAccount, createInteractionPolicy } from '../oidc/account.ts'
import { createAdapters } from '../oidc/adapters.ts'
import { passwordContext } from '../oidc/authentication-context.ts'
import { type CurrentProvider, createCurrentProvider } from '../oidc/current-provider.ts'
import { equipClients } from '../oidc/equip-clients.ts'
import { observeProvider } from '../oidc/events.ts'
import { createMetered } from '../oidc/guess-limits.ts'
import { createJwtAccessTokens, REVOKED } from '../oidc/jwt-access-tokens.ts'
import { answerForJwts } from '../oidc/jwt-endpoints.ts'
import type { LeftOut } from '../oidc/left-out.ts'
import { tellPushedRequests } from '../oidc/lifetimes.ts'
import { meterClients } from '../oidc/metered.ts'
import { issuerPath } from '../oidc/origin.ts'
import { tellOutage } from '../oidc/outage.ts'
import { createOutageLog } from '../oidc/outage-log.ts'
import { assertSomethingAsked } from '../oidc/resource-requests.ts'
import { providerSettings } from '../oidc/settings.ts'
import { createUsedUp } from '../oidc/used-up.ts'
import { JWKS_BYTES_MAX } from '../ring/policy.ts'
import type { Scheduler } from '../ring/scheduler.ts'
import type { RingView } from '../ring/view.ts'
import type { IssuerScope } from './issuer-scope.ts'
import { createOnceADay } from './once-a-day.ts'

/** OpenID Connect provider and published documents of an issuer. */
export interface IssuerProvider {
  readonly current: CurrentProvider
  readonly documents: PublishedDocuments
  readonly brand: Brand
  readonly views: Views
  /** Publishes a new view, then lets the provider sign by it. */
  show(view: RingView): Promise<void>
  close(): Promise<void>
}

export function openIssuerProvider(scope: IssuerScope, scheduler: Scheduler): IssuerProvider {
  const { process, config, policies, metrics, log } = scope
  const { issuer, profile, rotation } = config
  const { clock } = process
  const mayServe = () => scheduler.status.obstacle() === undefined
  const documents = createPublishedDocuments({ issuer, clock, mayServe, ...rotation })
  const brand = createBrand(config.pages)
  const views = createViews({ mountPath: issuerPath(issuer), brand })
  const { adapters, onBuilt, close } = createEquipment(scope, scheduler)
  const current = createCurrentProvider({
    issuer,
    adapter: adapters.adapter,
    grantHandler: adapters.grantHandler,
    policies,
    profile,
    authorize: scheduler.authorize,
    onBuilt,
    settings: providerConfiguration(scope, views),
  })
  return {
    current,
    documents,
    brand,
    views,
    close,
    show: async (view) => {
      // Publish before signing.
      documents.publishJwks(view.jwks, view.nextPublishedChangeAt)
      current.swap(view)
      documents.publishDiscovery(await current.discovery())
      metrics.swaps.inc()
      if (documents.jwksBytes > JWKS_BYTES_MAX) {
        const data = { bytes: documents.jwksBytes, most: JWKS_BYTES_MAX }
        log.error(data, 'the JWKS is larger than some relying parties read')
      }
    },
  }
}

/** Parts that outlive the instances of the provider, and the equipment of each new instance. */
function createEquipment(scope: IssuerScope, scheduler: Scheduler) {
  const { process, config, stores, metrics, log, ofRequests } = scope
  const { clock, databaseClock } = process
  const lifetime = config.tokens.pushedAuthorizationRequest
  const usedUp = createUsedUp(clock, ofRequests)
  const metered = createMetered(config.signIn, {
    redis: stores.redis,
    clock,
    metrics,
    log: ofRequests,
  })
  const jwtAccessTokens = createJwtAccessTokens({
    issuer: config.issuer,
    resources: config.resources,
    view: () => scheduler.status.view,
    lookFor: scheduler.lookFor,
    accounts: stores.accounts,
    revoked: stores.artifacts.adapter(REVOKED),
    clock,
  })
  const adapters = createAdapters({
    artifacts: stores.artifacts,
    usedUp,
    leeway: config.tokens.refreshReuseLeeway,
    clockDifference: 2 * config.rotation.clockSkew,
    clock,
    databaseClock,
    userCodes: metered.userCodes,
    pushedRequest: lifetime,
    jwtAccessTokens,
  })
  const observing = {
    metrics,
    log: ofRequests,
    onOutage: createOutageLog(log, clock),
    onFault: usedUp.giveBack,
  }
  const onBuilt = (provider: Provider) => {
    observeProvider(provider, observing)
    equipClients(provider, config.profile, clock)
    meterClients(provider, metered.clientSecrets)
    tellPushedRequests(provider, lifetime)
    answerForJwts(provider, jwtAccessTokens)
  }
  return { adapters, onBuilt, close: usedUp.stop }
}

/** oidc-provider's configuration, apart from keys: settings, people and pages. */
function providerConfiguration(
  { process, config, stores, ofRequests }: IssuerScope,
  views: Views,
): Configuration {
  const { issuer } = config
  const isFirstToday = createOnceADay(process.clock)
  const tellLeftOut = (left: LeftOut) => {
    if (isFirstToday(JSON.stringify(left))) {
      ofRequests.info(left, 'a scope was left out of a request')
    }
  }
  const settings = providerSettings(config, tellLeftOut, process.clock)
  const pages = providerPages({ views, issuer, log: ofRequests })
  const mountPath = issuerPath(issuer)
  const findAccount = createFindAccount(stores.accounts)
  const loadExistingGrant = createLoadExistingGrant(stores.consents)
  return {
    ...settings,
    findAccount: (...args) => tellOutage(Promise.resolve(findAccount(...args))),
    interactions: {
      policy: createInteractionPolicy([passwordContext(issuer)]),
      // The address includes the client, so that a page can link back after the interaction has
      // expired.
      url: (_ctx, { uid, params }) =>
        `${mountPath}/interaction/${uid}?client_id=${encodeURIComponent(String(params.client_id))}`,
    },
    loadExistingGrant: (ctx) => {
      // Checked again when the person returns from the pages, because the configuration may have
      // changed.
      assertSomethingAsked(ctx)
      return tellOutage(loadExistingGrant(ctx))
    },
    renderError: pages.renderError,
    features: {
      ...settings.features,
      rpInitiatedLogout: {
        ...settings.features?.rpInitiatedLogout,
        ...pages.features.rpInitiatedLogout,
      },
      deviceFlow: { ...settings.features?.deviceFlow, ...pages.features.deviceFlow },
    },
  }
}
