import { createClientCredentials } from './client-credentials.ts'
import { createIssues, type Issue } from './issues.ts'
import { type Journal, reasonOf } from './journal.ts'
import type { Random } from './random.ts'
import { RESOURCES } from './settings.ts'
import { createSignIns } from './sign-ins.ts'

/** Operations of clients through the balancer during the whole drill. */
export interface Load {
  /** Starts operations at the rate, whether or not earlier ones have ended. */
  start(): void
  /** Starts no more operations; resolves when the begun ones are over. */
  stop(): Promise<void>
  /** Tokens so far, by kind. */
  readonly issued: Map<string, number>
}

export interface LoadOptions {
  readonly issuer: string
  /** Operations a second; one gives one token, a sign-in three. */
  readonly rate: number
  readonly random: Random
  readonly journal: Journal
  readonly onIssue: (issue: Issue) => void
}

/** Operations at once; beyond that, the rate falls. */
const AT_ONCE = 150
/** Number of each operation among 100. */
const SHARES = { RS256: 38, ES256: 28, Ed25519: 22, opaque: 9, 'sign-in': 3 } as const
type Operation = keyof typeof SHARES

export function createLoad({ issuer, rate, random, journal, onIssue }: LoadOptions): Load {
  const running = new Set<Promise<void>>()
  const bag = Object.entries(SHARES).flatMap(([name, share]) =>
    // The keys of SHARES are operations.
    Array.from({ length: share }, () => name as Operation),
  )
  let timer: NodeJS.Timeout | undefined

  const issues = createIssues(onIssue)
  const clientCredentials = createClientCredentials({ issuer, journal, issues })
  const signInAndRefresh = createSignIns({ issuer, random, journal, issues })

  const operate = async (): Promise<void> => {
    const name = random.pick(bag)
    if (name === 'sign-in') return signInAndRefresh()
    const resource = RESOURCES.find(({ identifier }) => identifier.endsWith(name.toLowerCase()))
    if (resource) return clientCredentials(resource)
  }
  const launch = () => {
    if (running.size >= AT_ONCE) return
    const operation = operate()
      .catch((error) => journal.violation('drill', `an operation failed: ${reasonOf(error)}`))
      .finally(() => running.delete(operation))
    running.add(operation)
  }
  return {
    issued: issues.issued,
    start: () => {
      timer ??= setInterval(launch, 1000 / rate)
    },
    stop: async () => {
      clearInterval(timer)
      await Promise.all(running)
    },
  }
}
