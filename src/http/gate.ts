import type { IncomingMessage, ServerResponse } from 'node:http'
import { awaitContent, type Content, hasContent, isForm } from './content.ts'
import { findParameterProblem, isTooDeep, type ParameterLimits } from './parameters.ts'
import type { Refuse } from './refusals.ts'

type Handle = (request: IncomingMessage, response: ServerResponse) => void

export interface GateOptions {
  readonly limits: ParameterLimits
  /** Path of the authorization endpoint, where oidc-provider itself reports repeated parameters. */
  readonly authorization: string
  readonly refuse: Refuse
  /** Called with the error code of each refusal. */
  readonly onRefused: (error: string) => void
  /** Called when a client broke off its request. */
  readonly onCutShort: () => void
}

/** Bytes of content that oidc-provider reads at most. */
const CONTENT = 56 * 1024

/**
 * Passes on requests that are complete and whose parameters have a reasonable size. Requests
 * without content, the most frequent, pass at once.
 */
export function createGate(handle: Handle, options: GateOptions): Handle {
  const { limits, authorization, refuse, onRefused, onCutShort } = options

  function turnBack(
    request: IncomingMessage,
    response: ServerResponse,
    status: 400 | 413 | 415,
    description: string,
  ): void {
    onRefused('invalid_request')
    // Close the connection, because its next request would come only after the unread content.
    if (hasContent(request)) response.shouldKeepAlive = false
    refuse(request, response, { status, description })
  }

  const takeContent = (request: IncomingMessage, response: ServerResponse, content: Content) => {
    if (content === 'broken') return onCutShort()
    if (content === 'too-large') {
      return turnBack(request, response, 413, `the content is larger than ${CONTENT} bytes`)
    }
    const type = request.headers['content-type'] ?? ''
    if (!isForm(type)) return handle(request, response)
    const problem = isReadable(type)
      ? findParameterProblem(content.text, limits)
      : 'the character encoding of a form has to be UTF-8'
    if (problem !== undefined) return turnBack(request, response, 400, problem)
    handle(request, response)
  }

  return (request, response) => {
    const { url = '', headers } = request
    const start = url.indexOf('?')
    if (start !== -1) {
      const mayRepeat = url.slice(0, start) === authorization
      const problem = findParameterProblem(url.slice(start + 1), limits, mayRepeat)
      if (problem !== undefined) return turnBack(request, response, 400, problem)
    }
    const proof = headers.dpop
    if (typeof proof === 'string' && (proof.length > limits.jwtLength || isTooDeep(proof))) {
      return turnBack(request, response, 400, 'the DPoP proof is too long or nested too deeply')
    }
    if (!hasContent(request)) {
      // A type describes content (RFC 9110, section 8.3), and oidc-provider refuses a type without
      // content, even that of a form.
      if (headers['content-type'] !== undefined) delete headers['content-type']
      return handle(request, response)
    }
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      return turnBack(request, response, 415, 'content with a Content-Encoding is not read')
    }
    awaitContent(request, CONTENT, (content) => takeContent(request, response, content))
  }
}

/** Encodings whose bytes below 128 are ASCII, because older HTTP libraries do not name UTF-8. */
const CHARSETS = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii', 'iso-8859-1', 'windows-1252'])

function isReadable(type: string): boolean {
  // Most forms have no parameter and need no search.
  if (!type.includes(';')) return true
  const named = type.matchAll(/;\s*charset\s*=\s*"?([^";\s]*)/gi)
  return named.every(([, charset = '']) => CHARSETS.has(charset.toLowerCase()))
}
