import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Configuration, Provider } from 'oidc-provider'
import { RingStale } from '../errors.ts'
import { answerDocument, type PreparedDocument } from '../http/answer-document.ts'
import { signingKeys } from '../oidc/signing-keys.ts'
import type { RingView } from '../ring/view.ts'
import { openWatchedRing, type Ring, type RingOptions, type WatchedRing } from './open-ring.ts'

/** An oidc-provider application whose signing keys turn by themselves. */
export interface RotatingProvider {
  /** The keys, to inspect, to sign with, to rotate and to revoke. */
  readonly ring: Ring
  /**
   * The instance in use, for interactions and lookups. Each change of the keys replaces the
   * instance, so read this property anew at each request.
   */
  readonly provider: Provider
  /**
   * A request listener for `node:http`, Express or Connect. Each request is answered by the
   * instance in use at its arrival. The JWKS is made once per change of the keys, with `ETag` and
   * `Cache-Control`.
   */
  callback(): (request: IncomingMessage, response: ServerResponse) => void
  /** Ends the rotation. Requests that have begun are finished by their instance. */
  close(): Promise<void>
}

export interface RotatingProviderOptions extends RingOptions {
  /** The issuer identifier, as for `new Provider(issuer, ...)`. */
  readonly issuer: string
  /** The configuration, as for `new Provider(..., configuration)`. The ring replaces `jwks`. */
  readonly configuration?: Omit<Configuration, 'jwks'> | undefined
  /**
   * Called with each new instance before its first request, because event listeners, koa middleware
   * and `proxy` belong to an instance.
   */
  readonly onProvider?: ((provider: Provider) => void) | undefined
}

/**
 * Opens a ring and an oidc-provider application around it. oidc-provider reads its keys only in its
 * constructor, so each change of the keys makes a new instance, which takes a few milliseconds.
 * @throws errors of `openRing`, and of oidc-provider for its configuration
 * @example
 * const rotating = await openRotatingProvider({
 *   issuer: 'https://id.example.com',
 *   configuration: { clients },
 *   store: createFileKeyStore('./keys'),
 *   protector: fileProtector('./kek.json'),
 * })
 * createServer(rotating.callback()).listen(3000)
 */
export async function openRotatingProvider(
  options: RotatingProviderOptions,
): Promise<RotatingProvider> {
  const { issuer, configuration = {}, onProvider } = options
  let current: { readonly provider: Provider; readonly handle: Handle } | undefined

  const swap = (view: RingView, { policies, authorize }: Omit<WatchedRing, 'ring'>) => {
    const keys = signingKeys(view, policies, authorize)
    const provider = new Provider(issuer, withKeys(configuration, keys))
    onProvider?.(provider)
    current = { provider, handle: provider.callback() }
  }
  const { ring } = await openWatchedRing(options, swap)
  const inUse = () => {
    if (!current) throw new TypeError('there is no provider before the first view of the ring')
    return current
  }
  const jwksPath = configuration.routes?.jwks ?? '/jwks'
  return {
    ring,
    get provider() {
      return inUse().provider
    },
    callback: () => (request, response) => {
      if (pathOf(request) === jwksPath) answerDocument(preparedJwks(ring), request, response)
      else inUse().handle(request, response)
    },
    close: ring.close,
  }
}

type Handle = ReturnType<Provider['callback']>

function withKeys(
  configuration: Omit<Configuration, 'jwks'>,
  keys: ReturnType<typeof signingKeys>,
): Configuration {
  return {
    ...configuration,
    // The types allow JWKs, but not yet the keys of the experimental feature below.
    jwks: { keys } as unknown as NonNullable<Configuration['jwks']>,
    features: {
      ...configuration.features,
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
    },
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

/** Prepares the JWKS; undefined while it may lack a key that other processes sign with. */
function preparedJwks(ring: Ring): PreparedDocument | undefined {
  try {
    const { body, etag, headers } = ring.jwks()
    const { 'content-type': type = '', ...others } = headers
    return {
      body,
      etag,
      headers: Object.entries(others).flat(),
      bodyHeaders: ['content-type', type],
    }
  } catch (error) {
    if (error instanceof RingStale) return undefined
    throw error
  }
}
