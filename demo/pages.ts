import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Eta } from 'eta'
import type { Context, Middleware } from 'koa'
import mount from 'koa-mount'
import serve from 'koa-static'
import { staticFiles as keyturnFiles } from '../src/http/static-files.ts'
import type { RingPicture } from './ring-picture.ts'
import type { Session } from './sessions.ts'
import type { CollectedToken, Run, Verifier } from './verifier.ts'
import { inWords, timeOfDay } from './words.ts'

/** The pages of the demo application: what its templates show, in words. */

export interface HomeFacts {
  readonly session: Session | undefined
  readonly canRefresh: boolean
  /** True if the person asked the page not to refresh itself. */
  readonly isStill: boolean
  readonly rings: readonly RingPicture[]
  readonly verifier: Verifier
  readonly now: number
}

/** Label of a key, the same everywhere on the page. */
interface KeyLabel {
  /** `RS256 #3`, or the beginning of a kid that Keyturn does not show any more. */
  readonly name: string
  readonly kid: string
  readonly hue: number | undefined
  /** Present phase of the key. */
  readonly phase: string
}

const HTMX = findHtmx()
const TOKENS_SHOWN = 12
/** Seconds between refreshes of the page: by htmx in place, or else of the whole page. */
const REFRESH = { live: 2, whole: 5 }

export function createPages() {
  const eta = new Eta({ views: join(import.meta.dirname, 'views'), cache: true })
  const site = { htmx: HTMX !== undefined, refresh: REFRESH }
  const render = (ctx: Context, page: string, props: object) => {
    ctx.type = 'html'
    ctx.body = eta.render(page, { ...props, site })
  }

  return {
    home(ctx: Context, { session, canRefresh, isStill, rings, verifier, now }: HomeFacts): void {
      const label = labelsOf(rings)
      const signedBy = (kid: string) => verifier.tokens.filter((t) => t.kid === kid).length
      const { copy, totals, tokens, runs } = verifier
      const latest = (token: CollectedToken) => tokens.find((t) => t.jwt === token.jwt) ?? token
      render(ctx, '/home', {
        isLive: !isStill,
        person: session,
        canRefresh,
        rings,
        cards: session
          ? [session.idToken, session.accessToken].map((token) => card(latest(token), label, now))
          : [],
        totals,
        tokens: tokens.slice(0, TOKENS_SHOWN).map((token) => ({
          ...token,
          key: label(token.kid),
          expiry: expiryWords(token, now),
        })),
        tokenCount: tokens.length,
        runs: runs.map((run) => runWords(run, label)),
        copy: {
          age: copy.fetchedAt === undefined ? undefined : inWords(now - copy.fetchedAt),
          keys: copy.kids.map((kid) => ({ ...label(kid), tokens: signedBy(kid) })).sort(byName),
        },
      })
    },

    problem(ctx: Context, { message, status }: { message: string; status: number }): void {
      ctx.status = status
      render(ctx, '/problem', { message, isLive: false })
    },
  }
}

export type Pages = ReturnType<typeof createPages>

/** Leads from a form to the first page. */
export function goHome(ctx: Context): void {
  ctx.status = 303
  ctx.redirect('/')
}

/** Allows only the demo's own styles and htmx; forms may lead to Keyturn, for signing out. */
export function pageHeaders(issuer: string): Middleware {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' data:",
    ...(HTMX ? ["script-src 'self'", "connect-src 'self'"] : []),
    `form-action 'self' ${new URL(issuer).origin}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
  return async (ctx, next) => {
    ctx.set({
      'Content-Security-Policy': policy,
      'X-Frame-Options': 'DENY',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'same-origin',
      'Cache-Control': 'no-store',
    })
    await next()
  }
}

/** Serves `/static` as Keyturn does (Pico, the icon), and `/demo` with the demo's own files. */
export function staticFiles(): Middleware {
  const keyturn = keyturnFiles()
  const demo = mount('/demo', serve(join(import.meta.dirname, 'static'), { index: false }))
  return (ctx, next) =>
    keyturn(ctx, () => {
      if (ctx.path !== '/demo/htmx.min.js' || !HTMX) return demo(ctx, next)
      ctx.type = 'js'
      ctx.body = HTMX
      return Promise.resolve()
    })
}

/**
 * Path of htmx; undefined if it is not installed, and then the browser refreshes the whole page.
 */
function findHtmx(): string | undefined {
  try {
    return readFileSync(fileURLToPath(import.meta.resolve('htmx.org/dist/htmx.min.js')), 'utf8')
  } catch {
    return undefined
  }
}

function card(token: CollectedToken, label: (kid: string) => KeyLabel, now: number) {
  const { kind, origin, header, payload, kid, jwt, verified } = token
  const key = label(kid)
  return {
    title: kind === 'ID token' ? 'ID token' : 'Access token',
    use: kind === 'ID token' ? 'says who signed in' : 'opens the demo API',
    origin,
    key,
    expiry: expiryWords(token, now),
    verified: verified === 1 ? 'once' : `${verified} times`,
    header: JSON.stringify(header, undefined, 2),
    payload: JSON.stringify(payload, undefined, 2),
    jwt,
  }
}

function runWords({ at, verified, problems, kids }: Run, label: (kid: string) => KeyLabel) {
  return { time: timeOfDay(at), verified, problems, keys: kids.map(label).sort(byName) }
}

function expiryWords({ expiresAt }: CollectedToken, now: number): string {
  return expiresAt > now ? `expires in ${inWords(expiresAt - now)}` : 'has expired'
}

function labelsOf(rings: readonly RingPicture[]): (kid: string) => KeyLabel {
  const labels = new Map<string, KeyLabel>(
    rings.flatMap(({ algorithm, keys }) =>
      keys.map(({ kid, generation, hue, phase }) => [
        kid,
        { name: `${algorithm} #${generation}`, kid, hue, phase },
      ]),
    ),
  )
  return (kid) =>
    labels.get(kid) ?? { name: `${kid.slice(0, 8)}…`, kid, hue: undefined, phase: 'archived' }
}

function byName(one: KeyLabel, other: KeyLabel): number {
  return one.name < other.name ? -1 : 1
}
