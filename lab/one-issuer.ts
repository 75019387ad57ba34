import type { Config } from '../src/config/schema.ts'

/** A configuration, and its issuer; of several, the first. */
export type OneIssuerConfig = Config & { readonly issuer: string }

/** For tests of one issuer, whose settings are those of the process too. */
export function oneIssuer(config: Config): OneIssuerConfig {
  const [first] = config.issuers
  if (!first) throw new TypeError('a configuration has an issuer')
  return Object.freeze({ ...config, issuer: first.issuer })
}
