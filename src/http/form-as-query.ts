import type { IncomingMessage, ServerResponse } from 'node:http'
import { issuerPath } from '../oidc/origin.ts'
import { awaitContent, hasContent } from './content.ts'
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
  const path = issuerPath(issuer).toLowerCase()
  const hints = new Map(Object.entries(ENDPOINTS).map(([end, hint]) => [`${path}${end}`, hint]))
  const most = Math.max(headerSize - OTHER_FIELDS, headerSize / 2)

  async function redirect(
    request: IncomingMessage,
    response: ServerResponse,
    hint: string,
  ): Promise<void> {
    const turnBack = (status: 400 | 413, description: string) => {
      onRefused('invalid_request')
      refuse(request, response, { status, description })
    }
    const { headers, url = '' } = request
    let location = url
    if (hasContent(request)) {
      if (!isPlainForm(headers)) return turnBack(400, OTHER_CONTENT)
      // The gate before this has waited for the whole content and refused what is larger than any
      // form.
      const content = await awaitContent(request, Infinity)
      if (typeof content === 'string') return
      location = withForm(url, content.text)
    }
    if (location.length > most) {
      const limit = `longer than ${most} bytes as an address (http.limits.headerSize)`
      return turnBack(413, `the form is ${limit}${hint}`)
    }
    response.writeHead(303, { location, 'cache-control': 'no-store', 'content-length': 0 }).end()
  }

  return (request, response) => {
    if (request.method !== 'POST') return handle(request, response)
    const { url = '' } = request
    const query = url.indexOf('?')
    // oidc-provider's router accepts upper case and a slash at the end.
    const asked = (query === -1 ? url : url.slice(0, query)).toLowerCase().replace(/\/$/, '')
    const hint = hints.get(asked)
    if (hint === undefined) handle(request, response)
    else void redirect(request, response, hint)
  }
}

const OTHER_CONTENT = 'the content has to be a form (application/x-www-form-urlencoded)'
const FORM = /^application\/x-www-form-urlencoded(?:\s*;|\s*$)/i

function isPlainForm(headers: IncomingMessage['headers']): boolean {
  const encoding = headers['content-encoding'] ?? 'identity'
  return encoding === 'identity' && FORM.test(headers['content-type'] ?? '')
}

/** @param latin1 the bytes of the form, which are UTF-8 where they are not encoded */
function withForm(url: string, latin1: string): string {
  const form = new URLSearchParams(Buffer.from(latin1, 'latin1').toString('utf8')).toString()
  if (form === '') return url
  return `${url}${url.includes('?') ? '&' : '?'}${form}`
}
