import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Stall } from './stalls.ts'

/**
 * The relying parties, in a process of their own because they verify hundreds of signatures a
 * second.
 */
export interface Fleet extends AsyncDisposable {
  /** Lets every relying party verify a token until it expires or its key is revoked. */
  verify(issued: IssuedToken): void
  /** Counts tokens of this key separately from now on. */
  revoke(kid: string): void
  readonly tallies: readonly RpTally[]
  /** Stops the process; the counts are final then. */
  stop(): Promise<void>
}

export interface IssuedToken {
  readonly token: string
  readonly kid: string
  readonly algorithm: string
  readonly kind: 'ID token' | 'refreshed ID token' | 'access token'
  /** Seconds since the epoch. */
  readonly iat: number
  readonly exp: number
}

export interface RpTally {
  readonly name: string
  readonly about: string
  readonly isCovered: boolean
  readonly verified: number
  /** Number of valid tokens that were refused, for any reason. */
  readonly refused: number
  /** Number of refused tokens of revoked keys. */
  readonly revokedRefused: number
  readonly revokedAccepted: number
  /** Milliseconds from a revocation to the last accepted token of the key. */
  readonly tail: number
  /** Number of fetches of the JWKS. */
  readonly fetches: number
}

/** A valid token that a relying party refused. */
export interface Refusal {
  readonly rp: string
  readonly isCovered: boolean
  readonly kid: string
  readonly kind: string
  readonly iat: number
  readonly exp: number
  readonly why: string
  /** True if the relying party's last fetch of the JWKS succeeded. */
  readonly couldFetch: boolean
  /** Milliseconds since the relying party got the JWKS. */
  readonly jwksAge: number
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly to: number
}

export type FleetOrder =
  | { readonly issued: IssuedToken }
  | { readonly revoked: string; readonly at: number }
  | { readonly end: true }

export type FleetMessage =
  | { readonly ready: true }
  | { readonly refused: Refusal }
  | { readonly tallies: readonly RpTally[] }
  | { readonly stall: Stall }

export async function startFleet(options: {
  readonly issuer: string
  readonly seed: number
  readonly onRefusal: (refusal: Refusal) => void
  readonly onStall: (stall: Stall) => void
}): Promise<Fleet> {
  const child = fork(join(import.meta.dirname, 'fleet-process.ts'), [
    options.issuer,
    String(options.seed),
  ])
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  const exited = once(child, 'exit')
  const ready = Promise.withResolvers<void>()
  let tallies: readonly RpTally[] = []
  child.on('message', (message: FleetMessage) => {
    if ('ready' in message) ready.resolve()
    else if ('tallies' in message) tallies = message.tallies
    else if ('stall' in message) options.onStall(message.stall)
    else options.onRefusal(message.refused)
  })
  child.on('exit', (status) => ready.reject(new Error(`the relying parties ended with ${status}`)))
  await ready.promise
  const send = (order: FleetOrder) => {
    if (child.connected) child.send(order)
  }
  let stopped: Promise<void> | undefined
  const stop = async () => {
    send({ end: true })
    const late = setTimeout(kill, 5000)
    await exited
    clearTimeout(late)
    process.removeListener('exit', kill)
  }
  const stopOnce = () => {
    stopped ??= stop()
    return stopped
  }
  return {
    verify: (issued) => send({ issued }),
    revoke: (kid) => send({ revoked: kid, at: Date.now() }),
    get tallies() {
      return tallies
    },
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  }
}
