import { NotFound, Refused } from '../errors.ts'
import type { Config, IssuerConfig } from './schema.ts'

/**
 * The settings of the issuer that somebody named, or of the only one.
 * @param wanted an issuer identifier; undefined where nobody named one
 * @throws NotFound where there is no such issuer; Refused where there are several and none was named; both
 *   list all of them
 */
export function chooseIssuer(
  { issuers }: Pick<Config, 'issuers'>,
  wanted?: string | undefined,
): IssuerConfig {
  const named = issuers.filter(({ issuer }) => wanted === undefined || issuer === wanted)
  const [only] = named
  if (only && named.length === 1) return only
  const all = issuers.map(({ issuer }) => issuer)
  const list = all.map((issuer) => `\n  ${issuer}`).join('')
  if (wanted === undefined) {
    const message = `The configuration has ${all.length} issuers, and none of them was named:${list}`
    throw new Refused('issuer_not_named', { issuers: all }, message)
  }
  const message = `The configuration has no issuer ${wanted}. It has:${list}`
  throw new NotFound('issuer_not_found', { issuer: wanted, issuers: all }, message)
}

/** The other issuers of a configuration. */
export function siblingsOf(
  issuer: string,
  { issuers }: Pick<Config, 'issuers'>,
): readonly string[] {
  return issuers.map((each) => each.issuer).filter((each) => each !== issuer)
}
