import { type AdapterPayload, errors, type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { UsedMeanwhile } from '../artifacts/artifact-record.ts'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import { type ArtifactAdapters, Outage } from './outage.ts'
import {
  askedBy,
  createRefreshAnswers,
  type RefreshAnswer,
  type TokenResponse,
} from './refresh-answers.ts'

/**
 * What a request to the token endpoint uses up, and what it gives.
 *
 * oidc-provider consumes a code or a refresh token before it has looked at all that was asked for, and
 * stores what it gives bit by bit. Here both wait until the answer stands: a refused request uses nothing
 * up and leaves nothing behind, and what is stored goes together.
 *
 * A refresh token may come again within a leeway: two tabs refresh at the same instant, or an answer was
 * lost. It gets the answer that it got before. Of requests at the same instant, on whatever nodes, the
 * one whose answer is kept first has made it (`refresh-answers.ts`), so nobody waits for another, and one
 * that dies before has used nothing up. After the leeway a second use ends the grant (RFC 9700, section
 * 4.14.2).
 */
export interface TokenRequests {
  readonly adapters: ArtifactAdapters
  /** The handler of a grant type (`Provider.registerGrantType`), whose request is one of these. */
  readonly handler: AroundGrant
}

/** Makes another handler of that of a grant type. */
export type AroundGrant = <Context extends KoaContextWithOIDC>(
  grantType: string,
  handler: (ctx: Context) => void | Promise<void>,
) => (ctx: Context) => void | Promise<void>

export interface TokenRequestsOptions {
  readonly adapters: ArtifactAdapters
  /** Seconds in which a refresh token gets its answer again; 0 for not at all. */
  readonly leeway: number
  /** Largest difference of two nodes' clocks, in seconds. */
  readonly clockDifference: number
  readonly clock: Pick<Clock, 'now'>
  readonly databaseClock: Pick<Clock, 'exact'>
}

/** The grants that use something up. */
const GRANTS: readonly string[] = [
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
]

/** What they use up, and what they give. */
const MODELS: readonly string[] = ['AuthorizationCode', 'DeviceCode', 'RefreshToken', 'AccessToken']

/**
 * Seconds that a request may take from finding its refresh token to its answer: as long as it could still
 * be answered, the answer of another must be known.
 */
const LONGEST = 60

/** One request, until it is answered. */
interface TokenRequest {
  /** The refresh token that was presented. */
  readonly token: string | undefined
  readonly since: number
  /** What it uses up. */
  used?: { readonly adapter: ArtifactAdapter; readonly id: string }
  /** What it gives. */
  readonly given: Given[]
  /** What its refresh token was answered with before. */
  earlier?: RefreshAnswer
}

interface Given {
  readonly model: string
  readonly id: string
  readonly save: () => Promise<unknown>
}

export function createTokenRequests(options: TokenRequestsOptions): TokenRequests {
  const { adapters, leeway, clockDifference, clock, databaseClock } = options
  const answers = createRefreshAnswers(adapters, leeway + clockDifference + LONGEST)
  const open = new WeakMap<object, TokenRequest>()
  const current = () => {
    const { ctx } = Provider
    return ctx && open.get(ctx)
  }

  function put(model: string, adapter: ArtifactAdapter): ArtifactAdapter {
    return {
      ...adapter,
      upsert: async (id, payload, expiresIn) => {
        const save = () => adapter.upsert(id, payload, expiresIn)
        const request = current()
        if (!request) return save()
        request.given.push({ model, id, save })
      },
      consume: async (id) => {
        const request = current()
        if (!request) return adapter.consume(id)
        request.used = { adapter, id }
      },
    }
  }

  function putRefreshTokens(adapter: ArtifactAdapter): ArtifactAdapter {
    return {
      ...adapter,
      find: async (id) => {
        const found = await adapter.find(id)
        if (!found) return undefined
        // An ID token from a refresh should not repeat it (OIDC Core 1.0, section 12.2).
        const { nonce: _, ...payload } = found
        const request = current()
        if (payload.consumed === undefined || request?.token !== id || leeway === 0) return payload
        return (await comesInTime(payload, request)) ? unconsumed(payload) : payload
      },
    }
  }

  /** Is a refresh token that was used before used again within the leeway? */
  async function comesInTime(payload: AdapterPayload, request: TokenRequest): Promise<boolean> {
    const earlier = await answers.find(request.token ?? '')
    // None yet, as another request is about to keep it, or died before it could.
    if (!earlier) return clock.now() - Number(payload.consumed) <= leeway
    request.earlier = earlier
    return databaseClock.exact() - earlier.answeredAt <= leeway
  }

  /** The answer stands: now it is stored, and what it cost is used up. */
  async function settle(ctx: KoaContextWithOIDC, request: TokenRequest): Promise<void> {
    const { used, token, earlier, given } = request
    if (earlier) return repeat(ctx, earlier, given)
    if (!used) return saveAll(given)
    if (token === undefined || leeway === 0) {
      await consume(ctx, used)
      return saveAll(given)
    }
    // Before the answer is kept, so that whoever finds it can use what it gives.
    await saveAll(given)
    if (clock.now() - request.since > LONGEST) throw tooLate()
    const answer = {
      asked: askedBy(ctx),
      answeredAt: databaseClock.exact(),
      body: ctx.body as TokenResponse,
    }
    const [isThere, isFirst] = await Promise.all([
      used.adapter.consumeOrLeave(used.id),
      answers.keep(token, answer),
    ])
    if (!isThere) throw new errors.InvalidGrant('refresh token was revoked at the same time')
    if (isFirst) return
    const first = await answers.find(token)
    if (!first) throw tooLate()
    // Nobody was given it, and nobody will be.
    const own = given.find(({ model }) => model === 'RefreshToken')
    if (own) await used.adapter.destroy(own.id)
    await repeat(ctx, first, [])
  }

  /**
   * The same tokens to who asks for the same, with the same proof. Who asks for something else, such as
   * a token for another API, gets that, with the same next refresh token: there is never more than one.
   */
  async function repeat(
    ctx: KoaContextWithOIDC,
    { asked, answeredAt, body }: RefreshAnswer,
    given: readonly Given[],
  ): Promise<void> {
    if (asked === askedBy(ctx)) {
      const age = Math.max(0, Math.floor(databaseClock.exact() - answeredAt))
      ctx.body = { ...body, expires_in: Math.max(0, body.expires_in - age) }
      return
    }
    await saveAll(given.filter(({ model }) => model !== 'RefreshToken'))
    ctx.body = { ...(ctx.body as TokenResponse), refresh_token: body.refresh_token }
  }

  return {
    adapters: (model) => {
      const adapter = adapters(model)
      if (!MODELS.includes(model)) return adapter
      const waiting = put(model, adapter)
      return model === 'RefreshToken' ? putRefreshTokens(waiting) : waiting
    },
    handler: (grantType, handler) => {
      if (!GRANTS.includes(grantType)) return handler
      return async (ctx) => {
        const { refresh_token: presented } = ctx.oidc.params ?? {}
        const token =
          grantType === 'refresh_token' && typeof presented === 'string' ? presented : undefined
        const request: TokenRequest = { token, since: clock.now(), given: [] }
        open.set(ctx, request)
        await handler(ctx)
        open.delete(ctx)
        await settle(ctx, request)
      }
    },
  }
}

async function saveAll(given: readonly Given[]): Promise<void> {
  await Promise.all(given.map(({ save }) => save()))
}

/** Where two requests used it up at once, the one that loses has ended the grant, and says so. */
async function consume(
  ctx: KoaContextWithOIDC,
  { adapter, id }: NonNullable<TokenRequest['used']>,
): Promise<void> {
  try {
    await adapter.consume(id)
  } catch (error) {
    if (error instanceof UsedMeanwhile) {
      ctx.oidc.provider.emit('grant.revoked', ctx, ctx.oidc.entities.Grant?.jti ?? '')
    }
    throw error
  }
}

function unconsumed({ consumed: _, ...payload }: AdapterPayload): AdapterPayload {
  return payload
}

function tooLate(): Outage {
  return new Outage(new StoreUnavailable(`A refresh took longer than ${LONGEST} s.`))
}
