import {
  errors,
  type KoaContextWithOIDC,
  Provider,
  type Provider as ProviderInstance,
} from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import type { Guess, Guesses } from './guesses.ts'

/** Limits guesses of client secrets and user codes. */

/**
 * Too many wrong guesses came from the same network. Answered with 429 and `Retry-After` (RFC 6585,
 * section 4), because 401 would say that the secret was checked and is wrong; the error code is
 * from RFC 6749, section 5.2.
 */
export class TooManyGuesses extends errors.CustomOIDCProviderError {
  /** Seconds to wait. */
  readonly retryAfter: number

  constructor(description: string, retryAfter: number) {
    super('invalid_client', description)
    this.retryAfter = retryAfter
    // The base class sets 400.
    this.status = 429
    this.statusCode = 429
  }
}

export interface MeteredOptions {
  readonly guesses: Guesses
  readonly onWrong: () => void
  readonly onLimited: (ctx: KoaContextWithOIDC) => void
}

/** Routes at which clients authenticate. */
const ROUTES: readonly string[] = [
  'token',
  'introspection',
  'revocation',
  'pushed_authorization_request',
  'device_authorization',
]

/**
 * A guess by a request. A class with a getter, because the address is needed only after a wrong
 * guess and costs time to work out, and a getter of an object literal is itself slow to make.
 */
class RequestGuess implements Guess {
  readonly #ctx: KoaContextWithOIDC
  readonly subject: string

  constructor(ctx: KoaContextWithOIDC, subject: string) {
    this.#ctx = ctx
    this.subject = subject
  }

  get address(): string {
    return this.#ctx.ip
  }
}

/**
 * Limits failed authentications of clients, by any method and at all endpoints. Only the classes of
 * this provider instance are changed. A correct authentication is never counted.
 */
export function meterClients(provider: ProviderInstance, options: MeteredOptions): void {
  const { guesses, onWrong, onLimited } = options
  const { Client } = provider
  const counted = new WeakSet<object>()

  function refuse(ctx: KoaContextWithOIDC, retryAfter: number | undefined): void {
    if (retryAfter === undefined) return
    onLimited(ctx)
    ctx.set('Retry-After', `${retryAfter}`)
    const what = 'too many failed attempts to authenticate came from this network'
    throw new TooManyGuesses(`${what}; try again in ${retryAfter} s`, retryAfter)
  }

  // `find` is the first step of authentication, so a client that has to wait costs nothing further.
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    const client = await find(id)
    const { ctx } = Provider
    if (!ctx?.oidc || !ROUTES.includes(ctx.oidc.route) || ctx.oidc.client) return client
    // An unknown client and a public client have no secret to guess.
    if (!client || client.clientAuthMethod === 'none') return client
    const wait = guesses.wait(new RequestGuess(ctx, id))
    if (wait) refuse(ctx, await wait)
    return client
  }

  const compare = Client.prototype.compareClientSecret
  Client.prototype.compareClientSecret = async function compareClientSecret(secret) {
    const isRight = await compare.call(this, secret)
    const { ctx } = Provider
    if (!ctx) return isRight
    // Guesses beyond the limit are refused even if right, so that parallel guesses learn nothing.
    const wait = isRight
      ? guesses.wait(new RequestGuess(ctx, this.clientId))
      : countWrong(ctx, this.clientId)
    if (wait) refuse(ctx, await wait)
    return isRight
  }

  /** @returns seconds to wait if the guess exceeded the limit */
  async function countWrong(
    ctx: KoaContextWithOIDC,
    clientId: string,
  ): Promise<number | undefined> {
    counted.add(ctx)
    onWrong()
    return guesses.wrong(new RequestGuess(ctx, clientId))
  }

  // Failures other than wrong secrets, mostly of assertions (RFC 7523).
  const refused = (ctx: KoaContextWithOIDC, error: Error & { error?: string }) => {
    if (error.error !== 'invalid_client' || error instanceof TooManyGuesses) return
    const { client } = ctx.oidc
    if (!client || counted.has(ctx)) return
    // This request is already answered; later ones meet the limit.
    countWrong(ctx, client.clientId).catch(() => {})
  }
  provider.on('grant.error', refused)
  provider.on('introspection.error', refused)
  provider.on('revocation.error', refused)
  provider.on('pushed_authorization_request.error', refused)
  provider.on('device_authorization.error', refused)
}

/**
 * Wraps the adapter of device codes to limit wrong user codes that people type (RFC 8628, section
 * 5.1).
 */
export function meterUserCodes(adapter: ArtifactAdapter, options: MeteredOptions): ArtifactAdapter {
  const { guesses, onWrong, onLimited } = options

  function refuse(ctx: KoaContextWithOIDC, retryAfter: number | undefined): void {
    if (retryAfter === undefined) return
    onLimited(ctx)
    ctx.set('Retry-After', `${retryAfter}`)
    throw new TooManyGuesses('too many wrong user codes came from this network', retryAfter)
  }

  return {
    ...adapter,
    findByUserCode: async (userCode) => {
      const { ctx } = Provider
      if (ctx?.oidc?.route !== 'code_verification') return adapter.findByUserCode(userCode)
      // A signed-in person is counted by account, independent of others at the same address.
      const { accountId } = ctx.oidc.session ?? {}
      const guess = { address: accountId === undefined ? ctx.ip : `account ${accountId}` }
      refuse(ctx, await guesses.wait(guess))
      const found = await adapter.findByUserCode(userCode)
      if (!found) onWrong()
      refuse(ctx, found ? await guesses.wait(guess) : await guesses.wrong(guess))
      return found
    },
  }
}
