import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider'
import type { Exchange, NewArtifact } from '../artifacts/artifact-store.ts'
import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import { type ArtifactAdapters, type ExchangeTokens, Outage } from './outage.ts'
import {
  askedBy,
  createRefreshAnswers,
  type RefreshAnswer,
  type TokenResponse,
} from './refresh-answers.ts'
import { saveAll, type TokenRequest } from './token-request.ts'

/**
 * A refresh token may be used again within a leeway, because two tabs refreshed at the same instant
 * or an answer was lost. The second use gets the same answer as the first. Of several requests at
 * once, on any node, the first one to keep its answer decides it (`refresh-answers.ts`), so no
 * request waits for another. One that dies before that has issued nothing that a client knows.
 * After the leeway a second use ends the grant (RFC 9700, section 4.14.2).
 */
export interface RefreshReuse {
  /** False if a refresh token may be used once only. */
  readonly isOn: boolean
  /** True if a refresh token that was used before is used again within the leeway. */
  isWithinLeeway(payload: AdapterPayload, request: TokenRequest): Promise<boolean>
  /** Stores what a refresh issued and consumes its token, unless another request was first. */
  settle(ctx: KoaContextWithOIDC, refresh: Refresh): Promise<void>
  /**
   * Answers the same request, with the same proof, with the same tokens. A different request, such
   * as one for another API, gets its own access token with the same next refresh token, because
   * there must never be two refresh tokens. The token is consumed again, so that no undo of the
   * first request restores it.
   */
  repeat(
    ctx: KoaContextWithOIDC,
    earlier: RefreshAnswer,
    issued: readonly NewArtifact[],
  ): Promise<void>
}

/** A request that consumes a refresh token. */
export interface Refresh extends TokenRequest {
  readonly token: string
  readonly used: Exchange['used']
}

export interface RefreshReuseOptions {
  readonly adapters: ArtifactAdapters
  readonly exchange: ExchangeTokens
  /** Seconds in which a refresh token gets its answer again; 0 for never. */
  readonly leeway: number
  /** Largest difference between two nodes' clocks, in seconds. */
  readonly clockDifference: number
  readonly clock: Pick<Clock, 'now'>
  readonly databaseClock: Pick<Clock, 'exact'>
}

/**
 * Most seconds from finding the refresh token to its exchange. The answer of another request is
 * kept for longer than that by `leeway + clockDifference`, which leaves time for the exchange.
 */
const LONGEST_REQUEST = 60

export function createRefreshReuse(options: RefreshReuseOptions): RefreshReuse {
  const { adapters, exchange, leeway, clockDifference, clock, databaseClock } = options
  const answers = createRefreshAnswers(adapters, leeway + clockDifference + LONGEST_REQUEST)

  async function isWithinLeeway(payload: AdapterPayload, request: TokenRequest): Promise<boolean> {
    const earlier = await answers.find(request.token ?? '')
    // No answer is kept yet: another request is about to keep it, or died before it could.
    if (!earlier) return clock.now() - Number(payload.consumed) <= leeway
    request.earlier = earlier
    return databaseClock.exact() - earlier.answeredAt <= leeway
  }

  async function settle(ctx: KoaContextWithOIDC, refresh: Refresh): Promise<void> {
    const { used, token, issued } = refresh
    if (clock.now() - refresh.since > LONGEST_REQUEST) throw tooLate()
    const answer = answers.recordOf({
      token,
      asked: askedBy(ctx),
      answeredAt: databaseClock.exact(),
      body: ctx.body as TokenResponse,
    })
    if (await exchange({ used, issued, answer })) return
    const first = await answers.find(token)
    if (!first) throw tooLate()
    await repeat(ctx, first, issued)
  }

  async function repeat(
    ctx: KoaContextWithOIDC,
    { token, asked, answeredAt, body }: RefreshAnswer,
    issued: readonly NewArtifact[],
  ): Promise<void> {
    const isSame = asked === askedBy(ctx)
    if (!isSame) {
      await saveAll(
        adapters,
        issued.filter(({ model }) => model !== 'RefreshToken'),
      )
    }
    // The first request may have failed without knowing that its answer was kept. It then restores
    // the token, which must not be used again once the answer is given out.
    await adapters('RefreshToken').consumeAgain(token, Math.floor(answeredAt))
    if (isSame) {
      const age = Math.max(0, Math.floor(databaseClock.exact() - answeredAt))
      ctx.body = { ...body, expires_in: Math.max(0, body.expires_in - age) }
    } else {
      ctx.body = { ...(ctx.body as TokenResponse), refresh_token: body.refresh_token }
    }
  }

  return { isOn: leeway > 0, isWithinLeeway, settle, repeat }
}

function tooLate(): Outage {
  return new Outage(new StoreUnavailable(`A refresh took longer than ${LONGEST_REQUEST} s.`))
}
