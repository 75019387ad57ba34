import { askChecks, type Checks, type Readiness } from './readiness.ts'

/** What readiness says of a whole server. */
export interface Health {
  readiness(): Promise<Readiness>
  /** From now on the server is not ready. */
  stop(): void
}

interface Checked {
  readonly issuer: string
  readonly checks: Checks
}

/**
 * One issuer's checks stand among those of the process. Of several each has its own, and the server is
 * ready as long as any of them is: a load balancer that took the node away for one issuer would take it
 * from the others too, and on every node, as all of them have the same keys.
 */
export function createHealth(processChecks: Checks, issuers: readonly Checked[]): Health {
  let isStopping = false
  const server = () => ({ ok: !isStopping, detail: isStopping ? 'stopping' : 'running' })
  const shared = { server, ...processChecks }
  const [only] = issuers
  const askAll = async (): Promise<Readiness> => {
    const [process, ...own] = await Promise.all([
      askChecks(shared),
      ...issuers.map(async ({ issuer, checks }) => ({ issuer, ...(await askChecks(checks)) })),
    ])
    return {
      ok: process.ok && own.some(({ ok }) => ok),
      degraded: [process, ...own].some(({ ok, degraded }) => !ok || degraded),
      checks: process.checks,
      issuers: own,
    }
  }
  return {
    readiness:
      only && issuers.length === 1 ? () => askChecks({ ...shared, ...only.checks }) : askAll,
    stop: () => {
      isStopping = true
    },
  }
}
