import Koa, { type Middleware } from 'koa'
import mount from 'koa-mount'
import { type DispatchFunc, inject } from 'light-my-request'
import type { Provider } from 'oidc-provider'
import type { RingView } from '../ring/view.ts'
import { type CookieKeys, createCookieKeys } from './cookie-keys.ts'
import { withEndpointMethods } from './discovery.ts'
import { issuerPath, pinOrigin } from './origin.ts'
import { buildProvider, type ProviderOptions } from './provider.ts'

/**
 * The oidc-provider instance in use. A swap replaces one reference: requests that have begun finish
 * on the instance they began with, later ones get the new one, and the old one is collected.
 */
export interface CurrentProvider {
  /** Builds an instance for the view and replaces the one before. */
  swap(view: RingView): void
  /** @throws TypeError before the first swap */
  readonly provider: Provider
  /** Cookie keys of the current view, for the app around the provider, which writes cookies too. */
  readonly cookieKeys: CookieKeys
  /** Hands each request to the instance that is current when it arrives. */
  readonly middleware: Middleware
  /** True if there is a client of this id and it has no secret. */
  isPublicClient(id: string): Promise<boolean>
  /** Metadata of the current instance (OIDC Discovery 1.0, section 3). */
  discovery(): Promise<object>
}

export function createCurrentProvider(
  options: ProviderOptions & { readonly onBuilt?: (provider: Provider) => void },
): CurrentProvider {
  const path = issuerPath(options.issuer)
  let current: { provider: Provider; cookieKeys: CookieKeys; handle: Middleware } | undefined

  const inUse = () => {
    if (!current) throw new TypeError('there is no provider before the first ring view')
    return current
  }
  return {
    swap: (view) => {
      const cookieKeys = createCookieKeys(view)
      const provider = buildProvider(view, cookieKeys, options)
      options.onBuilt?.(provider)
      current = { provider, cookieKeys, handle: mount(path || '/', provider) }
    },
    get provider() {
      return inUse().provider
    },
    cookieKeys: {
      sign: (data) => inUse().cookieKeys.sign(data),
      verify: (data, signature) => inUse().cookieKeys.verify(data, signature),
      index: (data, signature) => inUse().cookieKeys.index(data, signature),
    },
    middleware: (ctx, next) => inUse().handle(ctx, next),
    isPublicClient: async (id) => {
      // If the client cannot be read, the provider reports that when it handles the request.
      const client = await inUse()
        .provider.Client.find(id)
        .catch(() => undefined)
      return client?.clientAuthMethod === 'none'
    },
    discovery: async () => {
      const app = pinOrigin(new Koa(), options.issuer)
      app.use(inUse().handle)
      // The type of koa's callback includes HTTP/2 requests, that of light-my-request does not.
      const answer = await inject(app.callback() as DispatchFunc, {
        url: `${path}/.well-known/openid-configuration`,
      })
      if (answer.statusCode !== 200) {
        throw new TypeError(`discovery answered ${answer.statusCode}: ${answer.body}`)
      }
      return withEndpointMethods(answer.json())
    },
  }
}
