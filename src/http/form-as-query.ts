import type { IncomingMessage, ServerResponse } from 'node:http'
import { issuerPath, routedPaths } from '../oidc/origin.ts'
import { awaitContent, type Content, hasContent, isForm } from './content.ts'
import type { Refuse } from './refusals.ts'

type Handle = (request: IncomingMessage, response: ServerResponse) => void

export interface FormAsQueryOptions {
  readonly issuer: string
  /** Most bytes of a request line and its header fields. */
  readonly headerSize: number
  readonly refuse: Refuse
  /** Called with the error code of each refusal. */
  readonly onRefused: (error: string) => void
}

/** Bytes reserved for cookies and other header fields of a browser, beside the request line. */
const OTHER_FIELDS = 4096

/**
 * Endpoints whose requests may come as a form (OpenID Connect Core 1.0, section 3.1.2.1, and
 * RP-Initiated Logout 1.0, section 2), each with a hint for forms that are too long.
 */
const ENDPOINTS: Readonly<Record<string, string>> = {
  '/auth': '; push it instead (RFC 9126)',
  '/session/end': '',
}

/**
 * Answers a form at the endpoints above with 303 to the same address with the form as its query.
 * oidc-provider could handle the form itself only with cookies of `SameSite=None`, because a POST
 * from another site carries no others. The GET that follows the redirect carries them, so the
 * session is found although its cookie is Lax.
 */
export function redirectForms(handle: Handle, options: FormAsQueryOptions): Handle {
  const { issuer, headerSize, refuse, onRefused } = options
  const path = issuerPath(issuer)
  const routed = routedPaths(issuer)
  const hints = new Map(Object.entries(ENDPOINTS).map(([end, hint]) => [`${path}${end}`, hint]))
  const most = Math.max(headerSize - OTHER_FIELDS, headerSize / 2)

  function redirect(
    request: IncomingMessage,
    response: ServerResponse,
    { hint, content = { text: '' } }: { readonly hint: string; readonly content?: Content },
  ): void {
    // The gate before this has waited for the whole content and refused what is larger than any
    // form.
    if (typeof content === 'string') return
    const location = withForm(request.url ?? '', content.text)
    if (location.length <= most) {
      response.writeHead(303, { location, 'cache-control': 'no-store', 'content-length': 0 }).end()
      return
    }
    const limit = `longer than ${most} bytes as an address (http.limits.headerSize)`
    turnBack(request, response, { status: 413, description: `the form is ${limit}${hint}` })
  }

  function turnBack(
    request: IncomingMessage,
    response: ServerResponse,
    refusal: { readonly status: 400 | 413; readonly description: string },
  ): void {
    onRefused('invalid_request')
    refuse(request, response, refusal)
  }

  return (request, response) => {
    if (request.method !== 'POST') return handle(request, response)
    const [asked = ''] = (request.url ?? '').split('?', 1)
    const hint = hints.get(routed(asked))
    if (hint === undefined) return handle(request, response)
    if (!hasContent(request)) return redirect(request, response, { hint })
    if (!isForm(request.headers['content-type'])) {
      return turnBack(request, response, { status: 400, description: OTHER_CONTENT })
    }
    awaitContent(request, Infinity, (content) => redirect(request, response, { hint, content }))
  }
}

const OTHER_CONTENT = 'the content has to be a form (application/x-www-form-urlencoded)'

/** @param latin1 the bytes of the form, which are UTF-8 where they are not encoded */
function withForm(url: string, latin1: string): string {
  const form = new URLSearchParams(Buffer.from(latin1, 'latin1').toString('utf8')).toString()
  if (form === '') return url
  return `${url}${url.includes('?') ? '&' : '?'}${form}`
}
