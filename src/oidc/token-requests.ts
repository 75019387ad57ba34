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
 * Requests to the token endpoint: what they consume and what they issue.
 *
 * oidc-provider consumes a code or a refresh token before it has checked the whole request, and
 * stores what it issues piece by piece. Here both wait until the answer is final: a refused request
 * consumes nothing and stores nothing, and everything is stored together.
 *
 * A refresh token may be used again within a leeway, because two tabs refreshed at the same instant
 * or an answer was lost. The second use gets the same answer as the first. Of several requests at
 * once, on any node, the first one to keep its answer decides it (`refresh-answers.ts`), so no
 * request waits for another, and a request that dies before that has consumed nothing. After the
 * leeway a second use ends the grant (RFC 9700, section 4.14.2).
 */
export interface TokenRequests {
  readonly adapters: ArtifactAdapters
  /** Wraps the handler of a grant type (`Provider.registerGrantType`). */
  readonly handler: AroundGrant
}

/** Wraps the handler of a grant type. */
export type AroundGrant = <Context extends KoaContextWithOIDC>(
  grantType: string,
  handler: (ctx: Context) => void | Promise<void>,
) => (ctx: Context) => void | Promise<void>

export interface TokenRequestsOptions {
  readonly adapters: ArtifactAdapters
  /** Seconds in which a refresh token gets its answer again; 0 for never. */
  readonly leeway: number
  /** Largest difference between two nodes' clocks, in seconds. */
  readonly clockDifference: number
  readonly clock: Pick<Clock, 'now'>
  readonly databaseClock: Pick<Clock, 'exact'>
}

/** Grant types that consume a code or a token. */
const GRANTS: readonly string[] = [
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
]

/** Models that such grants consume or issue. */
const MODELS: readonly string[] = ['AuthorizationCode', 'DeviceCode', 'RefreshToken', 'AccessToken']

/**
 * Most seconds from finding the refresh token to the answer. The answer of another request must
 * stay known for as long as this one could still be answered.
 */
const LONGEST_REQUEST = 60

/** A request that is not answered yet. */
interface TokenRequest {
  /** The refresh token that was presented. */
  readonly token: string | undefined
  readonly since: number
  /** The record to consume. */
  used?: { readonly adapter: ArtifactAdapter; readonly id: string }
  /** Records to store. */
  readonly given: Given[]
  /** The earlier answer to the same refresh token. */
  earlier?: RefreshAnswer
}

interface Given {
  readonly model: string
  readonly id: string
  readonly save: () => Promise<unknown>
}

export function createTokenRequests(options: TokenRequestsOptions): TokenRequests {
  const { adapters, leeway, clockDifference, clock, databaseClock } = options
  const answers = createRefreshAnswers(adapters, leeway + clockDifference + LONGEST_REQUEST)
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
        // An ID token from a refresh should not repeat the nonce (OIDC Core 1.0, section 12.2).
        const { nonce: _, ...payload } = found
        const request = current()
        if (payload.consumed === undefined || request?.token !== id || leeway === 0) return payload
        return (await isWithinLeeway(payload, request)) ? unconsumed(payload) : payload
      },
    }
  }

  /** True if a refresh token that was used before is used again within the leeway. */
  async function isWithinLeeway(payload: AdapterPayload, request: TokenRequest): Promise<boolean> {
    const earlier = await answers.find(request.token ?? '')
    // No answer is kept yet: another request is about to keep it, or died before it could.
    if (!earlier) return clock.now() - Number(payload.consumed) <= leeway
    request.earlier = earlier
    return databaseClock.exact() - earlier.answeredAt <= leeway
  }

  /** The answer is final: stores what was issued and consumes the code or token. */
  async function settle(ctx: KoaContextWithOIDC, request: TokenRequest): Promise<void> {
    const { used, token, earlier, given } = request
    if (earlier) return repeat(ctx, earlier, given)
    if (!used) return saveAll(given)
    if (token === undefined || leeway === 0) {
      await consume(ctx, used)
      return saveAll(given)
    }
    // Tokens are stored before the answer is kept, so that they are valid for a request that finds
    // it.
    await saveAll(given)
    if (clock.now() - request.since > LONGEST_REQUEST) throw tooLate()
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
    // This request's own refresh token was never sent to the client.
    const own = given.find(({ model }) => model === 'RefreshToken')
    if (own) await used.adapter.destroy(own.id)
    await repeat(ctx, first, [])
  }

  /**
   * Answers the same request, with the same proof, with the same tokens. A different request, such
   * as one for another API, gets its own access token with the same next refresh token, because
   * there must never be two refresh tokens.
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

/**
 * Consumes the code or token. If two requests do so at once, the second ends the grant and reports
 * it.
 */
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
  return new Outage(new StoreUnavailable(`A refresh took longer than ${LONGEST_REQUEST} s.`))
}
