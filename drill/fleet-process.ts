import { setTimeout as delay } from 'node:timers/promises'
import type { FleetMessage, FleetOrder, IssuedToken, RpTally } from './fleet.ts'
import { startJwksSource } from './jwks-source.ts'
import { createRandom } from './random.ts'
import { createRelyingParties, type RelyingParty } from './relying-parties.ts'
import { watchStalls } from './stalls.ts'

/**
 * The process of the relying parties. Each verifies every token at once, at a random instant of its
 * lifetime and just before its end.
 */

const [issuer = '', seed = '0'] = process.argv.slice(2)

/** Milliseconds before `exp` of the last verification. */
const LAST_MOMENT = 300
const REPORT_INTERVAL = 500

const random = createRandom(Number(seed), 'verifications')
const source = await startJwksSource(`${issuer}/jwks`)
const fleet = createRelyingParties(source, issuer)
const revoked = new Map<string, number>()
const tallies = new Map<string, { -readonly [K in keyof RpTally]: RpTally[K] }>(
  fleet.map(({ name, about, isCovered }) => [
    name,
    {
      name,
      about,
      isCovered,
      verified: 0,
      refused: 0,
      revokedRefused: 0,
      revokedAccepted: 0,
      tail: 0,
      fetches: 0,
    },
  ]),
)
let isOver = false

async function verifyThroughout(issued: IssuedToken): Promise<void> {
  const endsAt = issued.exp * 1000 - LAST_MOMENT
  const instants = [Date.now(), random.between(Date.now(), endsAt), endsAt]
  for (const at of instants) {
    await delay(Math.max(0, at - Date.now()))
    if (isOver || Date.now() >= issued.exp * 1000) return
    await Promise.all(fleet.map((rp) => verifyOnce(rp, issued)))
  }
}

async function verifyOnce(rp: RelyingParty, issued: IssuedToken): Promise<void> {
  if (!rp.algorithms.includes(issued.algorithm)) return
  if (rp.tokens === 'id' && issued.kind !== 'ID token') return
  const tally = tallies.get(rp.name)
  if (!tally) return
  const from = Date.now()
  let why: string | undefined
  try {
    await rp.verify(issued.token)
  } catch (error) {
    why = reasonOf(error)
  }
  const to = Date.now()
  // The token expired during its verification.
  if (why !== undefined && to >= issued.exp * 1000) return
  const revokedAt = revoked.get(issued.kid)
  if (revokedAt !== undefined) {
    if (why !== undefined) tally.revokedRefused += 1
    else if (from > revokedAt) {
      tally.revokedAccepted += 1
      tally.tail = Math.max(tally.tail, from - revokedAt)
    }
    return
  }
  if (why === undefined) {
    tally.verified += 1
    return
  }
  tally.refused += 1
  const { kid, kind, iat, exp } = issued
  const couldFetch = !source.hasFailed(rp.name)
  const jwksAge = source.age(rp.name)
  tell({
    refused: {
      rp: rp.name,
      isCovered: rp.isCovered,
      kid,
      kind,
      iat,
      exp,
      why,
      couldFetch,
      jwksAge,
      from,
      to,
    },
  })
}

function reasonOf(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at instanceof Error && parts.length < 3; at = at.cause)
    parts.push(at.message)
  return parts.join(': ') || String(error)
}

function tell(message: FleetMessage): void {
  if (process.connected) process.send?.(message)
}

function report(): void {
  for (const [name, tally] of tallies) tally.fetches = source.fetches(name)
  tell({ tallies: [...tallies.values()] })
}

process.on('message', (order: FleetOrder) => {
  if ('issued' in order) void verifyThroughout(order.issued)
  else if ('revoked' in order) revoked.set(order.revoked, order.at)
  else {
    isOver = true
    report()
    process.disconnect()
  }
})
process.on('disconnect', () => process.exit(0))
setInterval(report, REPORT_INTERVAL)
watchStalls((stall) => tell({ stall }))
tell({ ready: true })
