import { NotFound, Refused } from '../errors.ts'
import type { Config, IssuerConfig } from './schema.ts'

/**
 * The settings of a named issuer, or of the only issuer.
 * @param wanted an issuer identifier; undefined if none was named
 * @throws NotFound if there is no such issuer; Refused if there are several and none was named.
 * Both list all issuers
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
    const message = `The configuration has ${all.length} issuers, but none of them was named:${list}`
    throw new Refused('issuer_not_named', { issuers: all }, message)
  }
  const message = `The configuration has no issuer ${wanted || '""'}. It has:${list}`
  throw new NotFound('issuer_not_found', { issuer: wanted, issuers: all }, message)
}

/** The other issuers of a configuration. */
export function siblingsOf(
  issuer: string,
  { issuers }: Pick<Config, 'issuers'>,
): readonly string[] {
  return issuers.map((each) => each.issuer).filter((each) => each !== issuer)
}
