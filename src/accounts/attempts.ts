import { hash } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import {
  type Count,
  createCounter,
  createNetworkCounter,
  longestWait,
  type SharedCounts,
  type WiderLimit,
  widening,
} from './counters.ts'

import { createLifts } from './lifts.ts'
import { comparableUsername } from './username.ts'

/**
 * Limits of failed sign-ins within `window` seconds, beyond which further attempts are refused. An
 * address is IPv4 /32 or IPv6 /64, a site IPv6 /56, a network IPv4 /24 or IPv6 /48.
 */
export interface AttemptLimits {
  /** Attempts from one address for one user name. */
  readonly perAccountAndAddress: number
  readonly perAccountAndSite: WiderLimit
  /**
   * Should be well below `perAccount`, so that one network cannot lock the owner out everywhere.
   */
  readonly perAccountAndNetwork: WiderLimit
  /** Attempts from one address for all user names together. */
  readonly perAddress: number
  readonly perSite: WiderLimit
  readonly perNetwork: WiderLimit
  /**
   * Attempts for one user name from all addresses together. High, because at this limit the owner
   * is locked out too, except in browsers that signed in before.
   */
  readonly perAccount: number
  /**
   * Attempts from one browser that signed in before as the account. No other limit applies to it.
   */
  readonly perKnownBrowser: number
  /** Seconds after which a count begins anew. */
  readonly window: number
}

export const DEFAULT_ATTEMPT_LIMITS: AttemptLimits = {
  perAccountAndAddress: 5,
  perAccountAndSite: 'auto',
  perAccountAndNetwork: 'auto',
  perAddress: 50,
  perSite: 'auto',
  perNetwork: 'auto',
  perAccount: 100,
  perKnownBrowser: 10,
  window: 15 * 60,
}

export interface Attempt {
  readonly username: string
  readonly address: string
  /**
   * Id of a browser that signed in before as the account with this name. Attempts with it are
   * counted apart, because nobody else can have the id: wrong passwords of others cannot lock the
   * browser out.
   */
  readonly browser?: string | undefined
}

export interface Attempts {
  /**
   * Counts one attempt.
   * @param changedAt instant of the account's last change, which lifts its limits (`lifts.ts`);
   * called only at a limit of the account
   * @returns seconds to wait; undefined if the attempt may proceed
   */
  begin(
    attempt: Attempt,
    changedAt?: () => Promise<number | undefined>,
  ): Promise<number | undefined>
  /**
   * Clears the failures of this address and does not count this attempt: the password was right.
   */
  succeed(attempt: Attempt): Promise<void>
  /**
   * Does not count an attempt against the account, because too many attempts were under way and its
   * password was not checked: the owner may have been turned away because of others. The networks
   * stay charged, so that a flood of attempts ends.
   */
  turnAway(attempt: Attempt): Promise<void>
}

/** Counts that one attempt adds to. */
interface Counts {
  /** Count of this account at this address, or of this browser. */
  readonly own: Count
  /** Counts of this account in wider networks and everywhere. */
  readonly ofAccount: readonly Count[]
  /** Counts of the networks, for all accounts together. */
  readonly ofNetworks: readonly Count[]
}

/**
 * Counts attempts by the typed name, whether or not such an account exists, so that limits reveal
 * nothing. An attempt is counted before the password is checked, so that parallel guesses cannot
 * exceed the limit.
 * @param limits missing limits have their default
 */
export function createAttempts(
  limits: Partial<AttemptLimits> = {},
  shared?: SharedCounts,
  clock: Pick<Clock, 'now'> = systemClock,
): Attempts {
  const most = { ...DEFAULT_ATTEMPT_LIMITS, ...limits }
  const options = { window: most.window, shared }
  const pairs = createNetworkCounter(
    'pair',
    widening(most.perAccountAndAddress, most.perAccountAndSite, most.perAccountAndNetwork),
    options,
  )
  const networks = createNetworkCounter(
    'address',
    widening(most.perAddress, most.perSite, most.perNetwork),
    options,
  )
  const names = createCounter('name', most.perAccount, options)
  const browsers = createCounter('browser', most.perKnownBrowser, options)

  const lifts = createLifts(most.window, clock)

  function countsOf({ username, address, browser }: Attempt): Counts {
    const key = nameKey(username)
    const mark = lifts.mark(key)
    if (browser !== undefined) {
      return { own: browsers(browser + mark), ofAccount: [], ofNetworks: [] }
    }
    const name = key + mark
    // The cast is right, because there is always a count of the address.
    const [own, ...wider] = pairs(address, name) as [Count, ...Count[]]
    return { own, ofAccount: [...wider, names(name)], ofNetworks: networks(address) }
  }

  const begin: Attempts['begin'] = async (attempt, changedAt = async () => undefined) => {
    const { own, ofAccount, ofNetworks } = countsOf(attempt)
    // Networks are checked first, so that a limited network adds no more names to the memory, and
    // uses up no limits of accounts.
    const wait = await longestWait(ofNetworks)
    if (wait !== undefined) return wait
    const isLifted = (passed: number) => lifts.look(nameKey(attempt.username), passed, changedAt)
    const passed = await own.add()
    if (passed !== undefined) return (await isLifted(passed)) ? begin(attempt) : passed
    // Both run in parallel, because each is a round trip to Redis.
    const [ofNetwork, ofAll] = await Promise.all([addInTurn(ofNetworks), addInTurn(ofAccount)])
    if (ofNetwork !== undefined || ofAll === undefined) return ofNetwork
    if (!(await isLifted(ofAll))) return ofAll
    // `begin` counts the networks again.
    await Promise.all(ofNetworks.map((count) => count.takeOff()))
    return begin(attempt)
  }

  return {
    begin,

    async succeed(attempt) {
      const { own, ofAccount, ofNetworks } = countsOf(attempt)
      await Promise.all([
        own.clear(),
        ...[...ofAccount, ...ofNetworks].map((count) => count.takeOff()),
      ])
    },

    async turnAway(attempt) {
      const { own, ofAccount } = countsOf(attempt)
      await Promise.all([own, ...ofAccount].map((count) => count.takeOff()))
    },
  }
}

/**
 * Adds to counts from the narrowest network to the widest, up to the first that is full. So an
 * address that goes on guessing uses up only its share of the wider limits.
 * @returns seconds to wait if a count was full
 */
async function addInTurn(counts: readonly Count[]): Promise<number | undefined> {
  for (const count of counts) {
    const passed = await count.add()
    if (passed !== undefined) return passed
  }
  return undefined
}

/**
 * A hash of the name, so that keys are short and a memory dump shows no names. Names that differ
 * only in compatibility forms share a key: two accounts may count as one, but never one as two.
 */
function nameKey(username: string): string {
  const name = comparableUsername(username).normalize('NFKC').toLowerCase()
  return hash('sha256', name, 'base64url')
}
