/** What the rules of clients need to know of the server. */
export interface ClientContext {
  readonly isProduction: boolean
  /** To which all clients are held. */
  readonly profile: 'none' | 'fapi2'
  /** JWS algorithms of the rings that sign. */
  readonly algorithms: readonly string[]
  /** OpenID scopes. */
  readonly scopes: readonly string[]
  /** APIs, by whose scopes some know their rights. */
  readonly resources: readonly KnownApi[]
  readonly tellsOfSignOuts: boolean
  /** May Keyturn call addresses of private networks? */
  readonly callsPrivateNetworks: boolean
  /** What lifetimes are held to; undefined for clients of the configuration, to whose bounds they belong. */
  readonly longest?: LongestLifetimes
}

/** Seconds. */
export interface LongestLifetimes {
  /** Of what is signed. */
  readonly token: number
  /** By which retention is longer. */
  readonly margin: number
  /** Of refresh tokens. */
  readonly grant: number
}

/** What rules of clients need to know of an API (`resources` in the configuration). */
export interface KnownApi {
  readonly identifier: string
  readonly scopes: readonly string[]
  readonly tokenFormat: 'jwt' | 'opaque'
  readonly algorithm: string
  readonly audience?: string | undefined
  readonly typ?: string | undefined
}
