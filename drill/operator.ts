import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from './fleet.ts'
import type { Journal } from './journal.ts'
import { runCommand } from './nodes.ts'
import { LIMITS, ORDERS_RING, PROPAGATION, type Sabotage } from './settings.ts'
import type { Watch } from './watch.ts'

/** An operator who rotates and revokes keys with the CLI during the drill. */
export interface Operator {
  rotate(): Promise<void>
  /**
   * Revokes the active key of a ring whose standby RPs know, and waits until no node uses it.
   * @param then called as soon as the command has answered
   * @returns the kid
   */
  revoke(then?: () => Promise<void>): Promise<string | undefined>
  /** Checks that the key is revoked in the database. */
  assertRevoked(kid: string | undefined): Promise<void>
  readonly emergencies: readonly Emergency[]
}

/** Times of a revocation in milliseconds. */
export interface Emergency {
  /** Duration of the command, most of which is its start. */
  readonly command: number
  /** Time from the command's answer to the last token signed with the key. */
  readonly lastToken: number
  /** Time from the command's answer to the last JWKS of any node with the key. */
  readonly lastPublished: number
}

export interface OperatorOptions {
  readonly config: string
  readonly environment: Readonly<Record<string, string>>
  readonly sabotage: Sabotage | undefined
  readonly hasRedis: boolean
  readonly journal: Journal
  readonly fleet: Fleet
  readonly watch: Watch
  /** Aborted when the drill waits for nothing any more. */
  readonly halt: AbortSignal
}

/** Milliseconds. */
const POLL = 250
const PATIENCE = 45_000
/** Milliseconds of tolerance for the notice of a command's end and for the polling of the JWKS. */
const TOLERANCE = 300

interface ListedKey {
  readonly ring: string
  readonly generation: number
  readonly kid: string
  readonly phase: string
  readonly createdAt: string
  readonly activatesAt: string
}

export function createOperator(options: OperatorOptions): Operator {
  const { config, environment, sabotage, journal, fleet, watch, halt } = options
  const emergencies: Emergency[] = []
  const run = (...args: string[]) => runCommand(args, { config, environment, sabotage })

  /** Waits until the standby of the ring may sign at once. @returns the active key */
  const untilStandbyIsKnown = async (ring: string): Promise<ListedKey | undefined> => {
    const deadline = Date.now() + PATIENCE
    while (Date.now() < deadline && !halt.aborted) {
      const { status, output } = await run('keys', 'list', '--json')
      // What the command prints is its documented interface.
      const keys = status === 0 ? (JSON.parse(output) as readonly ListedKey[]) : []
      const inRing = keys.filter((key) => key.ring === ring)
      const active = inRing.find(({ phase }) => phase === 'active')
      const standby = inRing.find(({ phase }) => phase === 'pre-active')
      if (active && standby) {
        const known = Date.parse(standby.createdAt) + PROPAGATION * 1000
        const turnsAt = Date.parse(standby.activatesAt)
        // The command itself takes a second.
        const now = Date.now()
        if (now >= known && turnsAt - now > 2000) return active
        await delay(Math.min(1000, Math.max(POLL, known - now)))
      }
      await delay(POLL)
    }
    journal.violation('operator', `no standby of ${ring} could be used in ${PATIENCE / 1000} s`)
    return undefined
  }
  const order = async (...args: string[]) => {
    const outcome = await run(...args, '--actor', 'drill', '--reason', 'drill')
    if (outcome.status === 0) return outcome
    const said = outcome.errors || outcome.output
    journal.violation('operator', `${args.join(' ')} ended with ${outcome.status}: ${said}`)
    return undefined
  }
  return {
    emergencies,
    rotate: async () => {
      if (await untilStandbyIsKnown(ORDERS_RING)) await order('keys', 'rotate', ORDERS_RING)
    },
    assertRevoked: async (kid) => {
      if (kid === undefined) return
      const { status, output, errors } = await run('keys', 'list', '--json')
      // What the command prints is its documented interface.
      const keys = status === 0 ? (JSON.parse(output) as readonly ListedKey[]) : []
      const phase = keys.find((key) => key.kid === kid)?.phase
      if (phase !== 'revoked') {
        journal.violation('lost revocation', `${kid} is ${phase ?? 'unknown'}: ${errors}`)
      }
    },
    revoke: async (then) => {
      const active = await untilStandbyIsKnown(ORDERS_RING)
      if (!active) return undefined
      fleet.revoke(active.kid)
      const seen = watch.revoked(active.kid)
      const startedAt = Date.now()
      // Requests under way at the revocation name the key but must not be signed with it, so they
      // fail.
      const over = journal.excuse({ cause: 'key revoked meanwhile', why: 'answered 503' })
      const outcome = await order('keys', 'revoke', active.kid)
      if (outcome) await then?.()
      await delay(TOLERANCE)
      over()
      if (!outcome) return undefined
      const { answeredAt } = outcome
      // A key that was not seen for a while will not be seen again.
      const quiet = 2000
      while (Date.now() - Math.max(seen.lastIssuedAt, seen.lastPublishedAt, answeredAt) < quiet) {
        if (halt.aborted || Date.now() - answeredAt > PATIENCE) break
        await delay(POLL)
      }
      const emergency = {
        command: answeredAt - startedAt,
        lastToken: Math.max(0, seen.lastIssuedAt - answeredAt),
        lastPublished: Math.max(0, seen.lastPublishedAt - answeredAt),
      }
      emergencies.push(emergency)
      const most = options.hasRedis ? 2000 : LIMITS.refreshInterval * 1000 + TOLERANCE
      const took = Math.max(emergency.lastToken, emergency.lastPublished)
      const span = { from: answeredAt, to: answeredAt + took }
      if (took > most && !journal.excuseFor(span, undefined)) {
        journal.violation('emergency', `${active.kid} was in use ${took} ms after it was revoked`)
      }
      return active.kid
    },
  }
}
