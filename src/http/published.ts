import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { JWK } from 'jose'
import type { Clock } from '../clock.ts'
import { issuerPath, routedPaths } from '../oidc/origin.ts'
import { COMMON_KEY_TYPES } from '../ring/algorithms.ts'
import { jwksMaxAgeAt } from '../ring/view.ts'
import { answerDocument, type PreparedDocument } from './answer-document.ts'

/**
 * The JWKS, the JWKS with all keys (`/jwks/all`) and the discovery documents, from bytes that are
 * prepared once per ring view. They are answered before koa, because they are requested most, by
 * programs that give up after half a second, and must stay available if all else fails.
 */
export interface PublishedDocuments {
  /** @param nextChangeAt instant of the next change; caches are told to keep the JWKS no longer */
  publishJwks(jwks: { readonly keys: readonly JWK[] }, nextChangeAt: number | null): void
  publishDiscovery(discovery: object): void
  /** Answers if the request is for one of the documents. @returns whether it was answered */
  answer(request: IncomingMessage, response: ServerResponse): boolean
  /** Bytes of the larger JWKS. */
  readonly jwksBytes: number
}

export interface PublishedOptions {
  readonly issuer: string
  /** Seconds for which caches keep the JWKS; the next three are in seconds too. */
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly discoveryMaxAge: number
  /** `apart`: keys of types that not every RP knows are at `/jwks/all` only. */
  readonly rareKeys: 'listed' | 'apart'
  readonly clock: Pick<Clock, 'now'>
  /**
   * False while the ring is too old, because the JWKS may lack a key that other nodes sign with.
   */
  readonly mayServe: () => boolean
}

interface Document extends Omit<PreparedDocument, 'headers'> {
  readonly body: string
  /** Header fields, with alternating names and values. */
  readonly unchanging: readonly string[]
  readonly cacheControl: () => string
}

export function createPublishedDocuments(options: PublishedOptions): PublishedDocuments {
  const { clock, jwksMaxAge, staleWhileRevalidate, staleIfError, discoveryMaxAge } = options
  const path = issuerPath(options.issuer)
  const routed = routedPaths(options.issuer)
  const stale = `stale-while-revalidate=${staleWhileRevalidate}, stale-if-error=${staleIfError}`
  const documents = new Map<string, Document>()
  let jwksBytes = 0

  return {
    publishJwks: (jwks, nextChangeAt) => {
      const maxAge = () => jwksMaxAgeAt(clock.now(), jwksMaxAge, nextChangeAt)
      const made = (keys: readonly JWK[]) =>
        document(
          { keys },
          'application/jwk-set+json; charset=utf-8',
          () => `public, max-age=${maxAge()}, ${stale}`,
        )
      const all = made(jwks.keys)
      jwksBytes = Buffer.byteLength(all.body)
      documents.set(`${path}/jwks/all`, all)
      const isApart = options.rareKeys === 'apart'
      documents.set(`${path}/jwks`, isApart ? made(jwks.keys.filter(isCommon)) : all)
    },
    publishDiscovery: (discovery) => {
      const made = document(
        discovery,
        'application/json; charset=utf-8',
        () => `public, max-age=${discoveryMaxAge}`,
      )
      documents.set(`${path}/.well-known/openid-configuration`, made)
      documents.set(`${path}/.well-known/oauth-authorization-server`, made)
      // RFC 8414, section 3.1, puts the issuer's path behind the well-known name.
      documents.set(routed(`/.well-known/oauth-authorization-server${path}`), made)
    },
    answer: (request, response) => {
      const { url = '' } = request
      const found = documents.get(url) ?? documents.get(routed(withoutQuery(url)))
      if (!found) return false
      answerDocument(options.mayServe() ? prepared(found) : undefined, request, response)
      return true
    },
    get jwksBytes() {
      return jwksBytes
    },
  }
}

function prepared({ body, etag, bodyHeaders, unchanging, cacheControl }: Document) {
  return { body, etag, bodyHeaders, headers: ['cache-control', cacheControl(), ...unchanging] }
}

function isCommon({ kty }: JWK): boolean {
  return COMMON_KEY_TYPES.includes(kty)
}

function withoutQuery(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

function document(content: object, type: string, cacheControl: () => string): Document {
  const body = JSON.stringify(content)
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  const unchanging = [
    ...['etag', etag],
    ...['access-control-allow-origin', '*'],
    ...['x-content-type-options', 'nosniff'],
  ]
  const bodyHeaders = ['content-type', type, 'content-length', String(Buffer.byteLength(body))]
  return { body, etag, bodyHeaders, unchanging, cacheControl }
}
