import { askChecks, type Checks, type Readiness } from './readiness.ts'

/** Readiness of a whole server. */
export interface Health {
  readiness(): Promise<Readiness>
  /** Reports not ready from now on. */
  stop(): void
}

interface Checked {
  readonly issuer: string
  readonly checks: Checks
}

/**
 * Combines the checks of process and issuers. The checks of a single issuer are listed with those
 * of the process. Several issuers have lists of their own, and the server is ready as long as any
 * of them is: a load balancer that dropped the node for one issuer would drop it for the others
 * too, and on every node, because all nodes have the same keys.
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
