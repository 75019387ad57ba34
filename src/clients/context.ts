/** Facts of the server that the rules of clients need. */
export interface ClientContext {
  readonly isProduction: boolean
  /** Profile that every client must meet. */
  readonly profile: 'none' | 'fapi2'
  /** Seconds by which clocks of clients may be wrong (`tokens.clockTolerance`). */
  readonly clockTolerance: number
  /** JWS algorithms of the signing rings. */
  readonly algorithms: readonly string[]
  /** Known OpenID scopes. */
  readonly scopes: readonly string[]
  readonly resources: readonly KnownApi[]
  /** True if clients are told of sign-outs (`outgoing.backchannelLogout`). */
  readonly tellsOfSignOuts: boolean
  /** True if Keyturn may call addresses of private networks. */
  readonly callsPrivateNetworks: boolean
  /** Undefined for clients of the configuration, whose lifetimes `config/bounds.ts` checks. */
  readonly longest?: LongestLifetimes
}

/** The longest lifetimes that the policies allow, in seconds. */
export interface LongestLifetimes {
  /** Longest lifetime of signed tokens. */
  readonly token: number
  /** Seconds by which retention must exceed `token`. */
  readonly margin: number
  /** Of refresh tokens. */
  readonly grant: number
}

/** Facts of an API (`resources` in the configuration) that the rules of clients need. */
export interface KnownApi {
  readonly identifier: string
  readonly scopes: readonly string[]
  readonly tokenFormat: 'jwt' | 'opaque'
  readonly algorithm: string
  readonly audience?: string | undefined
  readonly typ?: string | undefined
}
