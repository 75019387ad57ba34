import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Configuration } from 'oidc-provider'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { addFirstAdministrator, type NewAccount } from '../accounts/new-account.ts'
import { createPasswords } from '../accounts/password.ts'
import { createSignIn } from '../accounts/sign-in.ts'
import { createForgeries } from '../artifacts/forgeries.ts'
import { createSweeper } from '../artifacts/sweeper.ts'
import { clientContext } from '../clients/context.ts'
import { assertProfile } from '../clients/profile.ts'
import { type Clock, systemClock } from '../clock.ts'
import { rotationPolicies } from '../config/policies.ts'
import type { Config } from '../config/schema.ts'
import { isEmbedded } from '../connection/database-url.ts'
import { createApp } from '../http/app.ts'
import { createAudience } from '../http/audience.ts'
import { createBrand } from '../http/brand.ts'
import { createLoadExistingGrant } from '../http/consent.ts'
import { redirectForms } from '../http/form-as-query.ts'
import { createFormSecrets } from '../http/form-secret.ts'
import { createGate } from '../http/gate.ts'
import { boundInFlight } from '../http/in-flight.ts'
import { interactionRoutes } from '../http/interactions.ts'
import { createKnownBrowser } from '../http/known-browser.ts'
import { type Listener, listen } from '../http/listener.ts'
import { createManagementApp, managementHosts } from '../http/management.ts'
import { providerPages } from '../http/pages.ts'
import { createPublishedDocuments } from '../http/published.ts'
import { createRefusals } from '../http/refusals.ts'
import { createViews, type Views } from '../http/views.ts'
import { createDatabaseClock } from '../nodes/database-clock.ts'
import { createHeartbeat } from '../nodes/heartbeat.ts'
import { countNodes } from '../nodes/node.ts'
import { createFindAccount, createInteractionPolicy } from '../oidc/account.ts'
import { passwordContext } from '../oidc/authentication-context.ts'
import { checkClientAlgorithms } from '../oidc/client-algorithms.ts'
import { createCurrentProvider } from '../oidc/current-provider.ts'
import { equipClients } from '../oidc/equip-clients.ts'
import { observeProvider, USED_TWICE } from '../oidc/events.ts'
import { createMetered } from '../oidc/guess-limits.ts'
import { createJwtAccessTokens, REVOKED } from '../oidc/jwt-access-tokens.ts'
import { answerForJwts } from '../oidc/jwt-endpoints.ts'
import { limitPushedRequests, tellPushedRequests } from '../oidc/lifetimes.ts'
import { meterClients, meterUserCodes } from '../oidc/metered.ts'
import { issuerPath } from '../oidc/origin.ts'
import { providerAdapters, tellOutage } from '../oidc/outage.ts'
import { createOutageLog } from '../oidc/outage-log.ts'
import { assertSomethingAsked } from '../oidc/resource-requests.ts'
import { providerSettings } from '../oidc/settings.ts'
import { createTokenRequests } from '../oidc/token-requests.ts'
import { createUsedUp } from '../oidc/used-up.ts'
import { findUserinfoTokens } from '../oidc/userinfo-tokens.ts'
import { packageVersion } from '../package-files.ts'
import { JWKS_BYTES_MAX } from '../ring/policy.ts'
import { createScheduler, type Scheduler } from '../ring/scheduler.ts'
import { CAUSED_BY_CLIENTS, createSeldomLog, type Log } from '../seldom-log.ts'
import { createWitnessWatch } from '../witness/witness-watch.ts'
import { createMetrics } from './metrics.ts'
import { createOnceADay } from './once-a-day.ts'
import {
  askChecks,
  clockCheck,
  databaseCheck,
  nodesCheck,
  type Readiness,
  redisCheck,
  ringCheck,
  witnessCheck,
  writesCheck,
} from './readiness.ts'
import { type IssuerStores, openStores } from './stores.ts'

/** A server that answers. */
export interface KeyturnServer {
  /** Where the public listener listens; browsers and RPs use the issuer. */
  readonly url: string
  /** Undefined in a worker. */
  readonly managementUrl: string | undefined
  readonly scheduler: Scheduler
  /** Only on a first start. */
  readonly administrator: NewAccount | undefined
  readonly registry: Registry
  /** What `/health/ready` answers. */
  readiness(): Promise<Readiness>
  /** Not ready first; after `http.shutdownDelay` open requests finish, then everything is closed. */
  close(): Promise<void>
}

export interface ServerOptions {
  readonly log: Logger
  readonly clock?: Clock
  /**
   * The id of this process, where it is one of several on this machine. Their primary has the
   * management listener, and this process none.
   */
  readonly worker?: number
}

/**
 * THE COMPOSITION ROOT: opens what the configuration names, turns the ring once, and listens.
 * @throws KeyturnError with what has to be mended before the server can start
 */
export async function startServer(config: Config, options: ServerOptions): Promise<KeyturnServer> {
  const { log, clock = systemClock, worker } = options
  const { issuer, http, rotation } = config
  for (const warning of config.warnings) log.warn(warning)

  // Everything opened so far, to be closed in reverse order at the end or when a start fails.
  const opened = new AsyncDisposableStack()
  try {
    const forgeries = createForgeries(log, clock)
    const shared = await openStores(config, clock, forgeries.note)
    opened.defer(shared.close)
    const stores = shared.of(issuer)
    for (const advice of await stores.advise()) log.warn(advice)
    const { clients, accounts, consents, artifacts, messages, redis, database } = stores
    const isStrict = config.management.readiness === 'strict'
    database.watch(({ detail }) => log.error(`the database: ${detail}`))
    redis?.status.watch(({ isReachable, detail }) =>
      isReachable ? log.info(detail) : log.error(detail),
    )
    const sealer = await stores.openSealer()
    // A secret in memory goes with its process, and people in the database stay: a warning says what that is worth.
    if (config.keyStore.type === 'memory') await stores.authenticateAnew(await stores.openSecret())

    const policies = rotationPolicies(config)
    const { refreshInterval, maxRingAge, clockSkew } = rotation
    const databaseClock = createDatabaseClock({ store: stores.nodes, clock, clockSkew })
    const node = nodeId(worker)
    const heartbeat = createHeartbeat({
      store: stores.nodes,
      databaseClock,
      policies,
      refreshInterval,
      maxRingAge,
      node: { id: node, version: packageVersion(), issuer, startedAt: clock.now() },
      log,
    })
    opened.defer(heartbeat.stop)
    const witness =
      stores.witness &&
      createWitnessWatch({
        witness: stores.witness,
        mayBegin: true,
        issuer,
        policies,
        clock,
        addEvents: (events) => stores.keys.addEvents(events),
        wakeOthers: () => messages.publish('ring'),
        patience: isShared(config) ? OTHERS_PATIENCE * refreshInterval : 0,
        log,
      })
    const scheduler = createScheduler({
      store: stores.keys,
      sealer,
      policies,
      clock,
      databaseClock,
      refreshInterval,
      maxRingAge,
      clockSkew,
      log,
      witness,
      afterTurn: () => heartbeat.beat(scheduler.status),
      onView: async (view) => {
        // Published first, then used.
        documents.publishJwks(view.jwks, view.nextPublishedChangeAt)
        current.swap(view)
        documents.publishDiscovery(await current.discovery())
        metrics.swaps.inc()
        if (documents.jwksBytes > JWKS_BYTES_MAX) {
          const data = { bytes: documents.jwksBytes, most: JWKS_BYTES_MAX }
          log.error(data, 'the JWKS is larger than some relying parties read')
        }
      },
    })
    const { obstacle } = scheduler.status
    let connections = () => 0
    const countStates = () => countNodes(heartbeat.nodes, refreshInterval, databaseClock.now())
    const metrics = createMetrics({
      ring: scheduler.status,
      clockOffset: databaseClock.offset,
      nodes: countStates,
      unseenKeys: () => heartbeat.unseen.length,
      redis: redis?.status,
      database,
      mayWrite: () => heartbeat.failure === undefined,
      inFlight: () => inFlight.count,
      connections: () => connections(),
      forgeries: forgeries.count,
    })
    const mayServe = () => obstacle() === undefined
    const documents = createPublishedDocuments({ issuer, clock, mayServe, ...rotation })

    const onOutage = createOutageLog(log, clock)
    const ofRequests = createSeldomLog(log, clock, { ...CAUSED_BY_CLIENTS, except: FACTS })
    const usedUp = createUsedUp(clock, ofRequests)
    opened.defer(usedUp.stop)
    const audience = createAudience(issuer)
    const brand = createBrand(config.pages)
    const views = createViews({ mountPath: issuerPath(issuer), brand })
    const metered = createMetered(config.signIn, {
      redis,
      clock,
      metrics,
      log: ofRequests,
    })
    const jwtAccessTokens = createJwtAccessTokens({
      issuer,
      resources: config.resources,
      view: () => scheduler.status.view,
      lookFor: scheduler.lookFor,
      accounts,
      revoked: artifacts.adapter(REVOKED),
      clock,
    })
    const tokenRequests = createTokenRequests({
      adapters: providerAdapters(artifacts.adapter, usedUp),
      leeway: config.tokens.refreshReuseLeeway,
      clockDifference: 2 * clockSkew,
      clock,
      databaseClock,
    })
    const current = createCurrentProvider({
      issuer,
      adapter: findUserinfoTokens(
        limitPushedRequests(
          meterUserCodes(tokenRequests.adapters, metered.userCodes),
          config.tokens.pushedAuthorizationRequest,
        ),
        jwtAccessTokens,
      ),
      grantHandler: tokenRequests.handler,
      policies,
      profile: config.profile,
      authorize: scheduler.authorize,
      onBuilt: (provider) => {
        observeProvider(provider, {
          metrics,
          log: ofRequests,
          onOutage,
          onFault: usedUp.giveBack,
        })
        equipClients(provider, clock)
        meterClients(provider, metered.clientSecrets)
        tellPushedRequests(provider, config.tokens.pushedAuthorizationRequest)
        answerForJwts(provider, jwtAccessTokens)
      },
      settings: providerConfiguration(config, stores, { views, log: ofRequests, clock }),
    })

    if (isShared(config)) {
      const others = await clients.writeConfigured(config.clients)
      if (others.length > 0) log.warn({ clients: others }, OTHER_CLIENTS)
    } else {
      await clients.replaceConfigured(config.clients)
    }
    await assertProfile(clients, clientContext(config))
    const view = await scheduler.runOnce()
    for (const warning of await checkClientAlgorithms(clients, policies, view)) {
      log.warn(warning)
    }
    const passwords = createPasswords(config.password.argon2)
    const signIn = createSignIn({
      accounts,
      password: passwords,
      limits: config.signIn,
      redis,
      observe: (ended) => metrics.guesses.inc({ kind: 'password', outcome: GUESSES[ended] }),
      clock,
      minimumLength: config.password.minLength,
    })
    const app = createApp({
      issuer,
      trustedProxies: http.trustedProxies,
      views,
      brand,
      audience,
      interactions: interactionRoutes({
        provider: () => current.provider,
        views,
        signIn,
        browsers: createKnownBrowser({
          issuer,
          cookieKeys: current.cookieKeys,
          lifetime: config.signIn.knownBrowser,
          clock,
        }),
        accounts,
        consents,
        clock,
        issuer,
        secrets: createFormSecrets(issuer, current.cookieKeys),
        vocabulary: config,
        log: ofRequests,
      }),
      provider: current.middleware,
      isPublicClient: current.isPublicClient,
      cookieKeys: current.cookieKeys,
      obstacle,
      lookFor: scheduler.lookFor,
      log: ofRequests,
      onCutShort: () => metrics.cutShort.inc(),
    })
    const refuse = createRefusals(views, audience)
    const inFlight = boundInFlight(app.callback(), {
      most: http.limits.requests,
      refuse,
      onTurnedAway: () => metrics.turnedAway.inc(),
    })
    const onRefused = (error: string) => metrics.refusals.inc({ error })
    const { headerSize } = http.limits
    const forms = redirectForms(inFlight.handle, { issuer, headerSize, refuse, onRefused })
    const handle = createGate(forms, {
      limits: http.limits,
      authorization: `${issuerPath(issuer)}/auth`,
      refuse,
      onRefused,
      onCutShort: () => metrics.cutShort.inc(),
    })

    scheduler.start()
    messages.subscribe('ring', scheduler.wake)
    messages.subscribe('clients', () => artifacts.forgetClients())
    opened.defer(scheduler.stop)
    const sweeper = createSweeper({
      artifacts: shared,
      clock,
      ...config.sweep,
      onFailure: (error) => log.error({ err: error }, 'expired records could not be deleted'),
    })
    sweeper.start()
    opened.defer(sweeper.stop)

    let isStopping = false
    const readiness = () =>
      askChecks({
        server: () => ({ ok: !isStopping, detail: isStopping ? 'stopping' : 'running' }),
        ring: () => ringCheck(scheduler),
        clock: () => clockCheck(databaseClock),
        nodes: () => nodesCheck(heartbeat, countStates()),
        database: () => databaseCheck(database, isStrict),
        writes: () => writesCheck(heartbeat, { refreshInterval, now: databaseClock.now() }),
        ...(witness ? { witness: () => witnessCheck(witness.status) } : {}),
        ...(redis ? { redis: () => redisCheck(redis.status, isStrict) } : {}),
      })
    const { registry } = metrics
    const management =
      worker === undefined
        ? await listen(
            createManagementApp({
              readiness,
              registry: () => registry,
              hosts: managementHosts(config.management),
            }).callback(),
            { ...config.management, limits: http.limits },
          )
        : undefined
    opened.defer(async () => management?.close(1))
    const listener: Listener = await listen(
      (request, response) => {
        // Not among the requests in flight: they are there when all else is turned away.
        if (!documents.answer(request, response)) handle(request, response)
      },
      { ...http, onClosed: (bound) => metrics.closed.inc({ bound }) },
    )
    connections = () => listener.connections
    opened.defer(async () => listener.close(http.shutdownTimeout))
    // The administrator comes last, because the password is shown once, by a start that succeeds.
    const administrator = await addFirstAdministrator(config.admin.username, {
      accounts,
      passwords,
      clock,
    })
    log.info({ node, url: listener.url }, 'answers requests')

    return {
      url: listener.url,
      managementUrl: management?.url,
      scheduler,
      administrator,
      registry,
      readiness,
      close: async () => {
        isStopping = true
        listener.sendAway()
        if (http.shutdownDelay > 0) {
          await clock.sleep(http.shutdownDelay, new AbortController().signal)
        }
        // Requests first: those that finish still need the rest, and the stores most of all.
        await opened.disposeAsync()
      },
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** What people did who had proved who they are: each is told. */
const FACTS = [
  ...['signed in', 'signed in with a one-time password', 'password changed'],
  ...['consent given', 'a grant was revoked', USED_TWICE],
]

/** How metrics call what `signIn` tells. */
const GUESSES = { right: 'right', wrong: 'wrong', attempts: 'limited', busy: 'busy' } as const

/** Can other nodes, with other configurations, be on the same database? */
function isShared({ database, http }: Config): boolean {
  return !isEmbedded(database.url) || http.workers !== 1
}

/**
 * Refresh intervals that a start waits for other nodes to put back what the store lacks: one until each
 * has looked, and half of one for those that had to connect again. With the default of 30 s that is
 * less than the minute which the probes of deploy/kubernetes give a start.
 */
const OTHERS_PATIENCE = 1.5

const OTHER_CLIENTS =
  'some clients were written by a configuration other than this one; if none has them any more: ' +
  'keyturn clients remove ID'

/** oidc-provider's configuration, apart from keys: settings, people and pages. */
function providerConfiguration(
  config: Config,
  { accounts, consents }: IssuerStores,
  { views, log, clock }: { readonly views: Views; readonly log: Log; readonly clock: Clock },
): Configuration {
  const isFirstToday = createOnceADay(clock)
  const settings = providerSettings(config, (left) => {
    if (isFirstToday(JSON.stringify(left))) log.info(left, 'a scope was left out of a request')
  })
  const pages = providerPages({ views, issuer: config.issuer, log })
  const mountPath = issuerPath(config.issuer)
  const findAccount = createFindAccount(accounts)
  const loadExistingGrant = createLoadExistingGrant(consents)
  return {
    ...settings,
    findAccount: (...args) => tellOutage(Promise.resolve(findAccount(...args))),
    interactions: {
      policy: createInteractionPolicy([passwordContext(config.issuer)]),
      // With the client, so that a page can lead back to it once the interaction is gone.
      url: (_ctx, { uid, params }) =>
        `${mountPath}/interaction/${uid}?client_id=${encodeURIComponent(String(params.client_id))}`,
    },
    loadExistingGrant: (ctx) => {
      // Also when the person comes back from our pages: the configuration may have changed meanwhile.
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

/** The host, which people know, and an end that tells processes and restarts apart. */
function nodeId(worker: number | undefined): string {
  const process = worker === undefined ? '' : `-w${worker}`
  return `${hostname()}${process}-${randomBytes(3).toString('hex')}`
}
