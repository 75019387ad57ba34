import { createHash } from 'node:crypto'
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
 * How many failed sign-ins are borne within `window` seconds before more are turned away. An address
 * is IPv4 /32 or IPv6 /64, a site IPv6 /56, a network IPv4 /24 or IPv6 /48.
 */
export interface AttemptLimits {
  /** From one address, for one user name. */
  readonly perAccountAndAddress: number
  readonly perAccountAndSite: WiderLimit
  /** Well below `perAccount`, so that one network cannot shut the owner out everywhere. */
  readonly perAccountAndNetwork: WiderLimit
  /** From one address, for all user names together. */
  readonly perAddress: number
  readonly perSite: WiderLimit
  readonly perNetwork: WiderLimit
  /**
   * For one user name, from all addresses together. High, because whoever reaches it shuts the
   * owner out as well, except in browsers that signed in before.
   */
  readonly perAccount: number
  /** From one browser that signed in before as this account, which nothing else limits. */
  readonly perKnownBrowser: number
  /** Seconds. */
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
   * Names a browser that signed in before as the account with this name. Nobody else has one, so it is
   * counted by itself: what others do wrong cannot shut it out.
   */
  readonly browser?: string | undefined
}

export interface Attempts {
  /**
   * Counts one attempt.
   * @param changedAt asked at a limit of the account: when the account was changed, if ever, which lifts its
   *   limits (`lifts.ts`)
   * @returns seconds to wait, or undefined where it may go ahead
   */
  begin(
    attempt: Attempt,
    changedAt?: () => Promise<number | undefined>,
  ): Promise<number | undefined>
  /** The password was right: forgets what this address got wrong, and does not count this attempt. */
  succeed(attempt: Attempt): Promise<void>
  /**
   * Too many were under way, and the password was never looked at. The networks it came from are
   * charged all the same, so that a crowd of attempts ends; the account is not, whose owner may have
   * been turned away because of others.
   */
  turnAway(attempt: Attempt): Promise<void>
}

/** The counts of one attempt. */
interface Counts {
  /** Of this account at this address, or of this browser. */
  readonly own: Count
  /** Of this account in wider networks and everywhere. */
  readonly ofAccount: readonly Count[]
  /** Of the networks, whatever the account. */
  readonly ofNetworks: readonly Count[]
}

/**
 * Counts by what was typed, not by what exists, so that a limit says nothing about accounts. An
 * attempt is counted before the password is looked at: parallel guesses cannot outrun the count.
 * @param limits those left out have their default
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
    // There is always a narrowest.
    const [own, ...wider] = pairs(address, name) as [Count, ...Count[]]
    return { own, ofAccount: [...wider, names(name)], ofNetworks: networks(address) }
  }

  const begin: Attempts['begin'] = async (attempt, changedAt = async () => undefined) => {
    const { own, ofAccount, ofNetworks } = countsOf(attempt)
    // A network that is shut out adds no more names and addresses to what is kept in memory.
    const wait = await longestWait(ofNetworks)
    if (wait !== undefined) return wait
    const isLifted = (passed: number) => lifts.look(nameKey(attempt.username), passed, changedAt)
    const passed = await own.add()
    if (passed !== undefined) return (await isLifted(passed)) ? begin(attempt) : passed
    // Side by side, as each is a trip to Redis, and neither lets one network use up what is not its.
    const [ofNetwork, ofAll] = await Promise.all([addInTurn(ofNetworks), addInTurn(ofAccount)])
    if (ofNetwork !== undefined || ofAll === undefined) return ofNetwork
    if (!(await isLifted(ofAll))) return ofAll
    // Counted again with the rest.
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
 * From the narrowest to the widest, stopping at the first that is full: an address that goes on guessing
 * uses up its share of its network and of an account, not all of it.
 * @returns seconds to wait where one was full
 */
async function addInTurn(counts: readonly Count[]): Promise<number | undefined> {
  for (const count of counts) {
    const passed = await count.add()
    if (passed !== undefined) return passed
  }
  return undefined
}

/**
 * A hash, so that a key is short however long the name, and a dump of memory shows fewer names. What
 * looks alike counts as one name; this may count two accounts as one, and never one as two.
 */
function nameKey(username: string): string {
  const name = comparableUsername(username).normalize('NFKC').toLowerCase()
  return createHash('sha256').update(name).digest('base64url')
}
