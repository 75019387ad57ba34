import type { Logger } from 'pino'
import { type SharedCounts, type WiderLimit, widening } from '../accounts/counters.ts'
import type { Clock } from '../clock.ts'
import type { Settings } from '../config/schema.ts'
import type { ProviderCounts } from './counts.ts'
import { createGuesses } from './guesses.ts'
import type { MeteredOptions } from './metered.ts'

/** Options of the meters, by what is guessed. */
export interface Metered {
  readonly clientSecrets: MeteredOptions
  readonly userCodes: MeteredOptions
}

interface Surroundings {
  readonly redis: SharedCounts | undefined
  readonly clock: Pick<Clock, 'elapsed'>
  readonly metrics: Pick<ProviderCounts, 'guesses'>
  readonly log: Pick<Logger, 'warn'>
}

/** The limits of the configuration, counted once for all instances of the provider. */
export function createMetered(
  { clientSecrets, userCodes }: Pick<Settings['signIn'], 'clientSecrets' | 'userCodes'>,
  { redis: shared, clock, metrics, log }: Surroundings,
): Metered {
  const observed = (kind: string, message: string): Omit<MeteredOptions, 'guesses'> => ({
    onWrong: () => metrics.guesses.inc({ kind, outcome: 'wrong' }),
    onLimited: (ctx) => {
      metrics.guesses.inc({ kind, outcome: 'limited' })
      const { route, client } = ctx.oidc
      log.warn({ route, client: client?.clientId, address: ctx.ip }, message)
    },
  })
  const { perClientAndAddress, perClientAndSite, perClientAndNetwork } = clientSecrets
  return {
    clientSecrets: {
      ...observed('client', 'a client is limited because too many attempts to authenticate failed'),
      guesses: createGuesses({
        kind: 'client',
        limits: ofAll(clientSecrets),
        subjectLimits: widening(perClientAndAddress, perClientAndSite, perClientAndNetwork),
        window: clientSecrets.window,
        shared,
        clock,
      }),
    },
    userCodes: {
      ...observed('user_code', 'user codes are limited because too many were wrong'),
      guesses: createGuesses({
        kind: 'user-code',
        limits: ofAll(userCodes),
        window: userCodes.window,
        shared,
        clock,
      }),
    },
  }
}

function ofAll(limits: {
  readonly perAddress: number
  readonly perSite: WiderLimit
  readonly perNetwork: WiderLimit
}) {
  return widening(limits.perAddress, limits.perSite, limits.perNetwork)
}
