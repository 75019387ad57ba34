import {
  errors,
  type KoaContextWithOIDC,
  Provider,
  type Provider as ProviderInstance,
} from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import type { Guesses } from './guesses.ts'

/** Where guesses of client secrets and user codes meet their limits. */

/**
 * Too many wrong guesses came from there. 429 with `Retry-After` (RFC 6585, section 4), as 401 would say
 * that the secret was looked at and is wrong; the code is the one that RFC 6749, section 5.2 has for it.
 */
export class TooManyGuesses extends errors.CustomOIDCProviderError {
  /** Seconds. */
  readonly retryAfter: number

  constructor(description: string, retryAfter: number) {
    super('invalid_client', description)
    this.retryAfter = retryAfter
    // Its class says 400.
    this.status = 429
    this.statusCode = 429
  }
}

export interface MeteredOptions {
  readonly guesses: Guesses
  readonly onWrong: () => void
  readonly onLimited: (ctx: KoaContextWithOIDC) => void
}

/** Where clients authenticate. */
const ROUTES: readonly string[] = [
  'token',
  'introspection',
  'revocation',
  'pushed_authorization_request',
  'device_authorization',
]

/**
 * Meters how clients authenticate, by whatever method, at all endpoints where they do: the classes of
 * this instance are changed, and of no other. A client that is right is never counted.
 */
export function meterClients(provider: ProviderInstance, options: MeteredOptions): void {
  const { guesses, onWrong, onLimited } = options
  const { Client } = provider
  const counted = new WeakSet<object>()
  // The address is worked out where it counts, and mostly nothing was wrong.
  const guessOf = (ctx: KoaContextWithOIDC, subject: string) => ({
    get address() {
      return ctx.ip
    },
    subject,
  })

  function refuse(ctx: KoaContextWithOIDC, retryAfter: number | undefined): void {
    if (retryAfter === undefined) return
    onLimited(ctx)
    ctx.set('Retry-After', `${retryAfter}`)
    const what = 'too many failed attempts to authenticate came from this network'
    throw new TooManyGuesses(`${what}; try again in ${retryAfter} s`, retryAfter)
  }

  // Asked for first of all where a client authenticates: who has to wait costs no more than this.
  const find = Client.find.bind(Client)
  Client.find = async (id) => {
    const client = await find(id)
    const { ctx } = Provider
    if (!ctx?.oidc || !ROUTES.includes(ctx.oidc.route) || ctx.oidc.client) return client
    // A client that does not exist has no secret to guess, and a public one none either.
    if (!client || client.clientAuthMethod === 'none') return client
    refuse(ctx, await guesses.wait(guessOf(ctx, id)))
    return client
  }

  const compare = Client.prototype.compareClientSecret
  Client.prototype.compareClientSecret = async function compareClientSecret(secret) {
    const isRight = await compare.call(this, secret)
    const { ctx } = Provider
    if (!ctx) return isRight
    const guess = guessOf(ctx, this.clientId)
    // Of many at the same moment, those beyond the limit tell nothing, the right one neither.
    if (isRight) refuse(ctx, await guesses.wait(guess))
    else refuse(ctx, await countWrong(ctx, this.clientId))
    return isRight
  }

  /** @returns seconds to wait, where it was one too many */
  async function countWrong(
    ctx: KoaContextWithOIDC,
    clientId: string,
  ): Promise<number | undefined> {
    counted.add(ctx)
    onWrong()
    return guesses.wrong(guessOf(ctx, clientId))
  }

  // What else went wrong, with assertions (RFC 7523) above all.
  const refused = (ctx: KoaContextWithOIDC, error: Error & { error?: string }) => {
    if (error.error !== 'invalid_client' || error instanceof TooManyGuesses) return
    const { client } = ctx.oidc
    if (!client || counted.has(ctx)) return
    // This request is answered; those after it are told.
    countWrong(ctx, client.clientId).catch(() => {})
  }
  provider.on('grant.error', refused)
  provider.on('introspection.error', refused)
  provider.on('revocation.error', refused)
  provider.on('pushed_authorization_request.error', refused)
  provider.on('device_authorization.error', refused)
}

/** The same adapter of device codes, which meters the user codes that people type (RFC 8628, section 5.1). */
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
      // Who is signed in is counted by account, so that others at the same address do not matter.
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
