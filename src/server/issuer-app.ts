import type { RequestListener } from 'node:http'
import type { Middleware } from 'koa'
import { createSignIn } from '../accounts/sign-in.ts'
import { createApp } from '../http/app.ts'
import { createAudience } from '../http/audience.ts'
import { redirectForms } from '../http/form-as-query.ts'
import { createFormSecrets } from '../http/form-secret.ts'
import { createGate } from '../http/gate.ts'
import { interactionRoutes } from '../http/interactions.ts'
import { createKnownBrowser } from '../http/known-browser.ts'
import { loggedPath } from '../http/logged-path.ts'
import { createRefusals } from '../http/refusals.ts'
import { issuerPath } from '../oidc/origin.ts'
import type { Scheduler } from '../ring/scheduler.ts'
import type { IssuerProvider } from './issuer-provider.ts'
import type { IssuerScope } from './issuer-scope.ts'

interface Answering {
  readonly scheduler: Scheduler
  readonly provider: IssuerProvider
}

/**
 * Answers everything except the published documents. Layers from the socket inwards: a gate for
 * complete requests of a reasonable size, forms as queries, a bound on requests in flight, koa.
 */
export function createAnswer(scope: IssuerScope, answering: Answering): RequestListener {
  const { process, config, metrics } = scope
  const { issuer, http } = config
  const { views } = answering.provider
  const audience = createAudience(issuer)
  const refuse = createRefusals(views, audience)
  const onRefused = (error: string) => metrics.refusals.inc({ error })
  const onCutShort = () => metrics.cutShort.inc()
  const app = createApp({
    issuer,
    trustedProxies: http.trustedProxies,
    views,
    brand: answering.provider.brand,
    audience,
    interactions: pagesForPeople(scope, answering.provider),
    provider: answering.provider.current.middleware,
    isPublicClient: answering.provider.current.isPublicClient,
    cookieKeys: answering.provider.current.cookieKeys,
    obstacle: answering.scheduler.status.obstacle,
    lookFor: answering.scheduler.lookFor,
    log: scope.ofRequests,
    onCutShort,
  })
  const bound = process.inFlight.bound(app.callback(), {
    refuse,
    onTurnedAway: () => metrics.turnedAway.inc(),
    onLate: ({ method, url = '' }) => {
      metrics.late.inc()
      const path = loggedPath(url)
      scope.ofRequests.warn({ method, path }, 'a request took longer than http.limits.answerTime')
    },
  })
  const { headerSize } = http.limits
  const forms = redirectForms(bound, { issuer, headerSize, refuse, onRefused })
  return createGate(forms, {
    limits: http.limits,
    authorization: `${issuerPath(issuer)}/auth`,
    refuse,
    onRefused,
    onCutShort,
  })
}

/** Names in metrics for the outcomes of `signIn`. */
const GUESSES = { right: 'right', wrong: 'wrong', attempts: 'limited', busy: 'busy' } as const

function pagesForPeople(
  { process, config, stores, metrics, ofRequests }: IssuerScope,
  { current, views }: IssuerProvider,
): Middleware {
  const { issuer } = config
  const { clock, passwords } = process
  const { accounts, consents } = stores
  const signIn = createSignIn({
    accounts,
    password: passwords,
    limits: config.signIn,
    redis: stores.redis,
    observe: (ended) => metrics.guesses.inc({ kind: 'password', outcome: GUESSES[ended] }),
    clock,
    minimumLength: config.password.minLength,
  })
  const browsers = createKnownBrowser({
    issuer,
    cookieKeys: current.cookieKeys,
    lifetime: config.signIn.knownBrowser,
    clock,
  })
  return interactionRoutes({
    provider: () => current.provider,
    views,
    signIn,
    browsers,
    accounts,
    consents,
    clock,
    issuer,
    secrets: createFormSecrets(issuer, current.cookieKeys),
    vocabulary: config,
    log: ofRequests,
  })
}
