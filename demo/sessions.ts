import type { Context } from 'koa'
import { createVault } from './vault.ts'
import type { CollectedToken } from './verifier.ts'

/** Session of a signed-in person. */
export interface Session {
  readonly subject: string
  readonly name: string
  readonly username: string
  readonly email: string
  readonly idToken: CollectedToken
  readonly accessToken: CollectedToken
}

/** Sessions in memory, by a cookie of the browser. */
export interface Sessions {
  of(ctx: Context): Session | undefined
  /** Subject of the person who used this browser last; the cookie for it outlives the session. */
  lastSubject(ctx: Context): string | undefined
  /** Begins a session in the place of the one before. */
  begin(ctx: Context, session: Session): void
  /** Replaces the session of a browser, unless it has ended meanwhile. */
  replace(ctx: Context, session: Session): void
  /** @returns the session that has ended */
  end(ctx: Context): Session | undefined
  endAllOf(subject: string): void
}

const SESSION_COOKIE = 'demo.session'
const PERSON_COOKIE = 'demo.person'

export function createSessions(): Sessions {
  const sessions = createVault<Session>(3600)
  const nameOf = (ctx: Context) => readCookie(ctx, SESSION_COOKIE)
  return {
    of: (ctx) => sessions.get(nameOf(ctx)),
    lastSubject: (ctx) => readCookie(ctx, PERSON_COOKIE),
    begin: (ctx, session) => {
      sessions.remove(nameOf(ctx))
      writeCookie(ctx, SESSION_COOKIE, sessions.put(session))
      writeCookie(ctx, PERSON_COOKIE, session.subject)
    },
    replace: (ctx, session) => sessions.replace(nameOf(ctx) ?? '', session),
    end: (ctx) => {
      const session = sessions.get(nameOf(ctx))
      sessions.remove(nameOf(ctx))
      writeCookie(ctx, SESSION_COOKIE, undefined)
      return session
    },
    endAllOf: (subject) => sessions.removeWhere((session) => session.subject === subject),
  }
}

export function readCookie(ctx: Context, name: string): string | undefined {
  return ctx.cookies.get(name, { signed: true }) || undefined
}

/** Writes a cookie with SameSite=Lax, because the browser returns from Keyturn by a link. */
export function writeCookie(ctx: Context, name: string, value: string | undefined): void {
  ctx.cookies.set(name, value, { signed: true, httpOnly: true, sameSite: 'lax' })
}
