import { Eta } from 'eta'
import type { Context, Middleware } from 'koa'
import { packageFile } from '../package-files.ts'
import type { AboutClient, Link } from './about-client.ts'
import type { Audience } from './audience.ts'
import { type Brand, PLAIN } from './brand.ts'
import { staticLinks } from './static-files.ts'

/** Content of each template in `views/`. Templates only choose and repeat. */
export interface Pages {
  'sign-in': {
    readonly client: AboutClient
    readonly username: string
    /** Address where another person than the named one can sign in. */
    readonly otherPerson?: string | undefined
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
    readonly client: AboutClient
    readonly xsrf: string
    readonly username: string
    readonly otherPerson: string
    /** Next place that the person is sent to, in words. */
    readonly destination: string
    readonly permissions: readonly string[]
    readonly resources: readonly {
      readonly name: string
      readonly scopes: readonly { readonly name: string; readonly words: string | undefined }[]
    }[]
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
    readonly client: AboutClient
  }
  done: {
    readonly title: string
    readonly message: string
    /** Picture of the page; none if left out. */
    readonly outcome?: 'done' | 'stopped'
    readonly way?: Link | undefined
  }
  error: {
    readonly title: string
    readonly message: string
    readonly detail?: string | undefined
    readonly errorId?: string | undefined
    /** True if requesting the same address again may help. */
    readonly mayRetry?: boolean
    /** Back to the application. */
    readonly way?: Link | undefined
  }
}

export interface Views {
  /** Answers with a page and its headers. The status is not changed if `status` is left out. */
  render<Page extends keyof Pages>(
    ctx: PageContext,
    page: Page,
    content: Pages[Page] & { readonly status?: number; readonly leadsOutside?: boolean },
  ): void
}

/** The part of a koa context that a page needs, so that oidc-provider's contexts fit as well. */
export type PageContext = Pick<Context, 'set' | 'type' | 'status' | 'body'>

export interface ViewsOptions {
  readonly brand?: Brand
  /** Path of the issuer if it is not at the root, such as `/op`. */
  readonly mountPath?: string
}

/** Pages with a password that can be shown; all other pages have no script. */
const SCRIPTED: ReadonlySet<keyof Pages> = new Set(['sign-in', 'choose-password'])

/** Pages from `views/`: Eta templates that escape by default. Templates are compiled once. */
export function createViews({ mountPath = '', brand = PLAIN }: ViewsOptions = {}): Views {
  const eta = new Eta({ views: packageFile('views'), cache: true })
  const link = staticLinks(mountPath, brand.files)
  const { name, links, files } = brand
  const logo = files.logo && link('logo')
  const site = {
    name,
    links,
    logo,
    icon: logo ?? link('icon.svg'),
    styles: [
      link('pico.min.css'),
      link('keyturn.css'),
      ...(files['brand.css'] ? [link('brand.css')] : []),
    ],
    script: link('show-password.js'),
  }

  return {
    render(ctx, page, { status, leadsOutside = false, ...props }) {
      const isScripted = SCRIPTED.has(page)
      const body = eta.render(`/${page}`, { ...props, site, isScripted })
      // Some pages have a client.
      const { client } = props as { readonly client?: AboutClient }
      setPageHeaders(ctx, { leadsOutside, isScripted, image: client?.logo })
      if (status !== undefined) ctx.status = status
      ctx.type = 'html'
      ctx.body = body
    },
  }
}

/**
 * Sets the headers of every page: only this server's own style and, where a password can be shown,
 * its own script; no frames.
 *
 * Browsers check every redirect after a form's POST against `form-action`, not only the first one,
 * and stop without a message. This server cannot know where a client's redirect URI sends the
 * browser on: to an application behind a broker, to http://localhost, to a private scheme. So pages
 * whose forms lead to a client have no `form-action`, and all others allow only this origin.
 */
function setPageHeaders(
  ctx: Pick<PageContext, 'set'>,
  {
    leadsOutside,
    isScripted,
    image,
  }: {
    /** True if a form on the page leads to a client's redirect URI. */
    readonly leadsOutside: boolean
    readonly isScripted: boolean
    /** Address of the client's logo, the only foreign image of a page. */
    readonly image: string | undefined
  },
): void {
  ctx.set({
    'Content-Security-Policy': [
      "default-src 'none'",
      "style-src 'self'",
      `img-src 'self' data:${image === undefined ? '' : ` ${imageSource(image)}`}`,
      ...(isScripted ? ["script-src 'self'"] : []),
      ...(leadsOutside ? [] : ["form-action 'self'"]),
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ].join('; '),
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    // Not no-referrer, because the Origin of this server's own forms would become `null`.
    'Referrer-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Cache-Control': 'no-store',
  })
}

/**
 * The image's address as a source expression (Content Security Policy Level 3, section 2.3.1),
 * limited to its path. A query is not part of an expression; `;` and `,` would end it, and `'`
 * begins keywords.
 */
function imageSource(image: string): string {
  const { origin, pathname } = new URL(image)
  return `${origin}${pathname.replace(/[;,']/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)}`
}

/**
 * Sets headers for the pages that oidc-provider renders itself: forms that submit themselves, to a
 * client (response_mode=form_post) or back to this server. `script-src` is empty because
 * oidc-provider adds the hash of its script to it. There is no `form-action`, because the forms
 * lead to any address that a client registered, and the pages may be framed, because `prompt=none`
 * in a hidden frame needs that. This server's own pages override all of these headers. Answers to
 * programs are no pages, and only say that they are not to be taken for any.
 */
export function providerHeaders({ isForPrograms }: Pick<Audience, 'isForPrograms'>): Middleware {
  return (ctx, next) => {
    // Node's own method, because koa's makes four arrays for each call, and all requests pass here.
    const { res } = ctx
    res.setHeader('X-Content-Type-Options', 'nosniff')
    if (isForPrograms(ctx.path)) return next()
    res.setHeader('Content-Security-Policy', "default-src 'none'; script-src; base-uri 'none'")
    res.setHeader('Referrer-Policy', 'strict-origin-when-cross-origin')
    return next()
  }
}
