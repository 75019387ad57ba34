import type { Context } from 'koa'
import type { Account } from '../accounts/account-store.ts'
import { type Memory, remember } from '../accounts/known-browser.ts'
import type { Clock } from '../clock.ts'
import type { CookieKeys } from '../oidc/cookie-keys.ts'
import { cookieNames } from '../oidc/cookie-names.ts'
import { issuerPath } from '../oidc/origin.ts'
import { jsonOf } from '../values/json-of.ts'

/** The cookie that proves with which accounts a browser signed in before. */
export interface KnownBrowser {
  /**
   * @returns the sign-ins that the request's cookie proves; none if it is missing, forged or too
   * old
   */
  read(ctx: Context): readonly Memory[]
  /** Sets the cookie after a sign-in, keeping its entries of other accounts. */
  write(ctx: Context, account: Account): void
}

export interface KnownBrowserOptions {
  readonly issuer: string
  /** Keys of the cookie ring: a cookie becomes invalid when the key that signed it is deleted. */
  readonly cookieKeys: Pick<CookieKeys, 'sign' | 'verify'>
  /** Seconds that a sign-in is remembered; 0 remembers none. */
  readonly lifetime: number
  readonly clock: Pick<Clock, 'now'>
}

/** Most characters of a cookie, far more than `write` makes. */
const COOKIE_LENGTH = 2048

/**
 * Each issuer has its own cookie: the cookie's name and its signature include the issuer, so that
 * another issuer on the same host neither replaces the cookie nor has its own accepted here.
 * Browsers send it only to paths below /interaction.
 */
export function createKnownBrowser(options: KnownBrowserOptions): KnownBrowser {
  const { issuer, cookieKeys, lifetime, clock } = options
  const secure = issuer.startsWith('https:')
  const { known: name } = cookieNames(issuer)
  const path = `${issuerPath(issuer)}/interaction`
  // The prefix differs from every cookie that koa or oidc-provider signs.
  const signed = (payload: string) => `known browser\n${issuer}\n${payload}`

  function read(ctx: Context): readonly Memory[] {
    const cookie = ctx.cookies.get(name, { signed: false }) ?? ''
    const [payload = '', signature = '', ...rest] = cookie.split('.')
    if (rest.length > 0 || cookie.length > COOKIE_LENGTH || payload === '') return []
    if (!cookieKeys.verify(signed(payload), signature)) return []
    const now = clock.now()
    return decode(payload).filter(({ signedInAt }) => now < signedInAt + lifetime)
  }

  return {
    read,
    write(ctx, account) {
      if (lifetime === 0) return
      const payload = encode(remember(read(ctx), account, clock.now()))
      ctx.cookies.set(name, `${payload}.${cookieKeys.sign(signed(payload))}`, {
        path,
        maxAge: lifetime * 1000,
        httpOnly: true,
        // Only forms of this server's own pages need the cookie.
        sameSite: 'strict',
        secure,
        signed: false,
        overwrite: true,
      })
    },
  }
}

type Row = readonly [string, string, string, number]

function encode(memories: readonly Memory[]): string {
  const rows = memories.map<Row>(({ accountId, browserId, passwordMark, signedInAt }) => [
    accountId,
    browserId,
    passwordMark,
    signedInAt,
  ])
  return Buffer.from(JSON.stringify(rows)).toString('base64url')
}

/** @param payload signed by this issuer, perhaps by another version of Keyturn */
function decode(payload: string): readonly Memory[] {
  const rows: unknown = jsonOf(Buffer.from(payload, 'base64url').toString())
  if (!Array.isArray(rows)) return []
  return rows.filter(isRow).map(([accountId, browserId, passwordMark, signedInAt]) => ({
    accountId,
    browserId,
    passwordMark,
    signedInAt,
  }))
}

function isRow(row: unknown): row is Row {
  return (
    Array.isArray(row) &&
    row.length === 4 &&
    row.slice(0, 3).every((part) => typeof part === 'string') &&
    Number.isSafeInteger(row[3])
  )
}
