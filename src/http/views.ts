import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Eta } from 'eta'
import type { Context, Middleware } from 'koa'
import mount from 'koa-mount'
import serve from 'koa-static'
import { packageFile } from '../package-files.ts'
import { allowMethods } from './methods.ts'

/** What each template in `views/` needs. Templates only choose and repeat. */
export interface Pages {
  'sign-in': {
    readonly clientName: string
    readonly username: string
    readonly xsrf: string
    readonly problem?: string
  }
  'choose-password': {
    readonly username: string
    readonly minimumLength: number
    readonly xsrf: string
    readonly problem?: string
  }
  consent: {
    readonly clientName: string
    readonly xsrf: string
    readonly username: string
    /** Where the person goes next, in words. */
    readonly destination: string
    readonly permissions: readonly string[]
    readonly resources: readonly { readonly name: string; readonly scopes: readonly string[] }[]
    /** What the client publishes about itself. */
    readonly links: readonly { readonly text: string; readonly href: string }[]
  }
  'sign-out': {
    readonly action: string
    readonly xsrf: string
    readonly clientName: string | undefined
  }
  'device-code': {
    readonly action: string
    readonly xsrf: string
    readonly userCode: string
    readonly problem?: string
  }
  'device-confirm': {
    readonly action: string
    readonly xsrf: string
    readonly userCode: string
    readonly clientName: string
  }
  done: { readonly title: string; readonly message: string }
  error: {
    readonly title: string
    readonly message: string
    readonly detail?: string | undefined
    readonly errorId?: string | undefined
    /** Would asking for the same address once more help? */
    readonly mayRetry?: boolean
  }
}

export interface Views {
  /** Answers with a page and its headers. The status stays what it is unless `status` says more. */
  render<Page extends keyof Pages>(
    ctx: PageContext,
    page: Page,
    content: Pages[Page] & { readonly status?: number; readonly leadsOutside?: boolean },
  ): void
}

/** The part of a koa context that a page needs, so that oidc-provider's contexts fit as well. */
export type PageContext = Pick<Context, 'set' | 'type' | 'status' | 'body'>

export interface ViewsOptions {
  /** What the pages call this service. */
  readonly name?: string
  /** Path of the issuer, where Keyturn does not live at the root: `/op`. */
  readonly mountPath?: string
}

const STATIC_PATH = '/static'
const YEAR = 31_536_000

/** Pages from `views/`: Eta templates that escape by default. Templates are compiled once. */
export function createViews({ name = 'Keyturn', mountPath = '' }: ViewsOptions = {}): Views {
  const directory = packageFile('views')
  const eta = new Eta({ views: directory, cache: true })
  const versions = readVersions(directory)
  const link = (file: string) => `${mountPath}${STATIC_PATH}/${file}?v=${versions.get(file)}`
  const site = {
    name,
    icon: link('icon.svg'),
    pico: link('pico.min.css'),
    style: link('keyturn.css'),
  }

  return {
    render(ctx, page, { status, leadsOutside = false, ...props }) {
      const body = eta.render(`/${page}`, { ...props, site })
      setPageHeaders(ctx, leadsOutside)
      if (status !== undefined) ctx.status = status
      ctx.type = 'html'
      ctx.body = body
    },
  }
}

/**
 * Headers of every page: nothing but our own style, no scripts, no frames.
 *
 * Browsers hold every redirect after a form's POST against `form-action`, not only the first one, and
 * stop without a word. Where a client's redirect URI sends the browser on - to an application behind a
 * broker, to http://localhost, to a private scheme - nobody here can know. So there is no
 * `form-action` on pages whose forms end outside, and our own origin alone on all others.
 * @param leadsOutside does a form on the page end at a client's redirect URI?
 */
export function setPageHeaders(ctx: Pick<PageContext, 'set'>, leadsOutside: boolean): void {
  ctx.set({
    'Content-Security-Policy': [
      "default-src 'none'",
      "style-src 'self'",
      "img-src 'self' data:",
      ...(leadsOutside ? [] : ["form-action 'self'"]),
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ].join('; '),
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    // Not no-referrer: it would make the Origin of our own forms `null`.
    'Referrer-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Cache-Control': 'no-store',
  })
}

/**
 * Headers for the pages that oidc-provider draws itself: forms that submit themselves, to a client
 * (response_mode=form_post) or back to us. It adds the hash of its script to `script-src`, which is
 * therefore there and empty. They have no `form-action`, since they lead wherever a client
 * registered, and may be framed, as `prompt=none` in a hidden frame needs. Pages of ours override
 * all this.
 */
export function providerHeaders(): Middleware {
  return (ctx, next) => {
    ctx.set({
      'Content-Security-Policy': "default-src 'none'; script-src; base-uri 'none'",
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'strict-origin-when-cross-origin',
    })
    return next()
  }
}

/**
 * Serves `views/static` at `/static`. Pages link files with the hash of their content: such an
 * answer may be kept for ever. During an update a node may be asked for a version that it does not
 * have; what it serves then is kept for a minute only.
 */
export function staticFiles(): Middleware {
  const directory = packageFile('views')
  const versions = readVersions(directory)
  const send = serve(join(directory, 'static'), { index: false })

  return mount(STATIC_PATH, async (ctx, next) => {
    if (versions.has(ctx.path.slice(1)) && !allowMethods(ctx, ['GET', 'HEAD'])) return
    let isOurs = true
    await send(ctx, () => {
      isOurs = false
      return next()
    })
    if (!isOurs) return
    const isThisVersion = ctx.query.v === versions.get(ctx.path.slice(1))
    ctx.set({
      'Cache-Control': isThisVersion ? `public, max-age=${YEAR}, immutable` : 'public, max-age=60',
      'X-Content-Type-Options': 'nosniff',
    })
  })
}

function readVersions(views: string): ReadonlyMap<string, string> {
  const directory = join(views, 'static')
  return new Map(
    readdirSync(directory).map((file) => {
      const content = readFileSync(join(directory, file))
      return [file, createHash('sha256').update(content).digest('hex').slice(0, 12)]
    }),
  )
}
