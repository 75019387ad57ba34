/**
 * What was done to real relying parties (RPs), as a script: the same is done here to their models and to
 * the libraries that npm offers. Instants are seconds since the RP started.
 */

/** The JWKS that the RP sees. */
export interface Jwks {
  /** Kids that it shows. */
  readonly shown: Set<string>
  isDown: boolean
  readonly maxAge: number
  /** Requests that came. */
  requests: number
}

export interface Subject {
  /** Does it accept a token of the kid? Instants never decrease. */
  verify(kid: string, at: number): Promise<boolean> | boolean
}

export type Start = (jwks: Jwks) => Promise<Subject> | Subject

export const MAX_AGE = 900

function jwks(...shown: readonly string[]): Jwks {
  return { shown: new Set(shown), isDown: false, maxAge: MAX_AGE, requests: 0 }
}

/** The RP has met the two keys of the rings before something happens. */
async function inUse(start: Start, source: Jwks, ...kids: readonly string[]): Promise<Subject> {
  const rp = await start(source)
  for (const kid of kids) {
    if (!(await rp.verify(kid, 0))) throw new Error(`it refuses ${kid}, which the JWKS shows`)
  }
  return rp
}

const FLOOD_FROM = 13
const FLOOD = 30

export interface Flooded {
  /** Fetches for 30 invented kids in 30 s. */
  readonly fetches: number
  /** Seconds from its publication, right behind the flood, until a new key is accepted; Infinity: it is not. */
  readonly newKey: number
}

/** Tokens of a key that is published behind a flood of invented kids come each second. */
export async function flood(start: Start, patience: number): Promise<Flooded> {
  const source = jwks('rs', 'es')
  const rp = await inUse(start, source, 'rs', 'es')
  const before = source.requests
  for (let i = 0; i < FLOOD; i++) await rp.verify(`invented ${i}`, FLOOD_FROM + i)
  const fetches = source.requests - before
  source.shown.add('new')
  const publishedAt = FLOOD_FROM + FLOOD
  for (let at = publishedAt; at < publishedAt + patience; at++) {
    if (await rp.verify('new', at)) return { fetches, newKey: at - publishedAt }
  }
  return { fetches, newKey: Number.POSITIVE_INFINITY }
}

export interface Outage {
  /** Seconds after its last fetch from which the RP refuses tokens of keys that it knew; Infinity: it does not. */
  readonly refusesFrom: number
  /** Seconds for which it refuses them. */
  readonly refusesFor: number
}

/** The JWKS answers 503 for some time; tokens of a known key come every few seconds. */
export async function outage(
  start: Start,
  { length, step, invented = false }: { length: number; step: number; invented?: boolean },
): Promise<Outage> {
  const source = jwks('rs', 'es')
  const rp = await inUse(start, source, 'rs', 'es')
  const refused: number[] = []
  for (let at = 1; at < length + 600; at += step) {
    source.isDown = at <= length
    if (invented && source.isDown) await rp.verify(`invented ${at}`, at)
    if (!(await rp.verify('rs', at))) refused.push(at)
  }
  return { refusesFrom: refused[0] ?? Infinity, refusesFor: refused.length * step }
}

export interface Switch {
  /** Seconds from the revocation to the second switch. */
  readonly freshAt: number
  /** Seconds between two tokens of the revoked key, from the revocation on. */
  readonly step: number
  readonly until: number
  readonly invented?: number
}

/**
 * Seconds for which a revoked key is accepted: its tokens, those of the key that took over and, after the
 * second switch, those of a fresh key keep coming.
 */
export async function revocation(
  start: Start,
  { freshAt, step, until, invented = Infinity }: Switch,
): Promise<number> {
  const source = jwks('revoked', 'standby', 'es')
  const rp = await inUse(start, source, 'revoked', 'standby', 'es')
  source.shown.delete('revoked')
  source.shown.add('fresh')
  let last = 0
  for (let at = step; at <= until; at += step) {
    if (at % invented < step) await rp.verify(`invented ${at}`, at)
    if (await rp.verify('revoked', at)) last = at
    await rp.verify(at < freshAt ? 'standby' : 'fresh', at)
  }
  return last
}
