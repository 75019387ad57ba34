import { Eta } from 'eta'
import type { Context, Middleware } from 'koa'
import { packageFile } from '../package-files.ts'
import type { AboutClient, Link } from './about-client.ts'
import { type Brand, PLAIN } from './brand.ts'
import { staticLinks } from './static-files.ts'

/** What each template in `views/` needs. Templates only choose and repeat. */
export interface Pages {
  'sign-in': {
    readonly client: AboutClient
    readonly username: string
    /** Where somebody else than the person who is named can sign in. */
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
    /** Where the person goes next, in words. */
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
    /** What the picture says at a glance; without one there is none. */
    readonly outcome?: 'done' | 'stopped'
    readonly way?: Link | undefined
  }
  error: {
    readonly title: string
    readonly message: string
    readonly detail?: string | undefined
    readonly errorId?: string | undefined
    /** Would asking for the same address once more help? */
    readonly mayRetry?: boolean
    /** Back to the application. */
    readonly way?: Link | undefined
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
  readonly brand?: Brand
  /** Path of the issuer, where Keyturn does not live at the root: `/op`. */
  readonly mountPath?: string
}

/** Pages with a field whose password can be shown; all others work without scripts and have none. */
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
      // Some pages have one.
      const { client } = props as { readonly client?: AboutClient }
      setPageHeaders(ctx, { leadsOutside, isScripted, image: client?.logo })
      if (status !== undefined) ctx.status = status
      ctx.type = 'html'
      ctx.body = body
    },
  }
}

/**
 * Headers of every page: nothing but our own style and, where a password can be shown, our own script; no
 * frames.
 *
 * Browsers hold every redirect after a form's POST against `form-action`, not only the first one, and
 * stop without a word. Where a client's redirect URI sends the browser on - to an application behind a
 * broker, to http://localhost, to a private scheme - nobody here can know. So there is no
 * `form-action` on pages whose forms end outside, and our own origin alone on all others.
 */
function setPageHeaders(
  ctx: Pick<PageContext, 'set'>,
  {
    leadsOutside,
    isScripted,
    image,
  }: {
    /** Does a form on the page end at a client's redirect URI? */
    readonly leadsOutside: boolean
    readonly isScripted: boolean
    /** The one address outside from which the page shows an image: the logo of its client. */
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
    // Not no-referrer: it would make the Origin of our own forms `null`.
    'Referrer-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Cache-Control': 'no-store',
  })
}

/**
 * One address as a source expression (Content Security Policy Level 3, section 2.3.1), whose path holds for
 * this image alone. A query is no part of it; `;` and `,` would end it, and `'` begins keywords.
 */
function imageSource(image: string): string {
  const { origin, pathname } = new URL(image)
  return `${origin}${pathname.replace(/[;,']/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)}`
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
