import Router from '@koa/router'
import Koa from 'koa'
import type { Registry } from 'prom-client'

/** The answer of one readiness check. */
export interface Check {
  /** May this node get requests? */
  readonly ok: boolean
  /**
   * Something is amiss that does not put requests elsewhere: where all nodes have lost the same
   * Redis, taking all of them out would turn a part of an outage into a whole one.
   */
  readonly degraded?: boolean
  /** In words an operator understands, with numbers. */
  readonly detail: string
}

/** The answer of `/health/ready`. */
export interface Readiness {
  /** Are all checks ok? */
  readonly ok: boolean
  /** Is any of them degraded? */
  readonly degraded?: boolean
  readonly checks: Readonly<Record<string, Check>>
  /** Of each worker that runs, where there are several. */
  readonly workers?: readonly (Readiness & { readonly id: number; readonly pid: number })[]
}

export type Checks = Readonly<Record<string, () => Check | Promise<Check>>>

/** Asks all checks at once. */
export async function askChecks(checks: Checks): Promise<Readiness> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await check()] as const),
  )
  return {
    ok: results.every(([, { ok }]) => ok),
    degraded: results.some(([, { degraded }]) => degraded),
    checks: Object.fromEntries(results),
  }
}

export interface ManagementOptions {
  /** Asked on every request of `/health/ready`. */
  readonly readiness: () => Promise<Readiness>
  /** The same for `/metrics`. */
  readonly registry: () => Registry | Promise<Registry>
}

/** The management listener: `/health/live`, `/health/ready` and `/metrics`. */
export function createManagementApp({ readiness, registry }: ManagementOptions): Koa {
  const app = new Koa()
  const router = new Router()

  // Alive is a process that answers; what it depends on is a matter of readiness.
  router.get('/health/live', (ctx) => {
    ctx.body = { ok: true }
  })

  router.get('/health/ready', async (ctx) => {
    const answer = await readiness()
    ctx.status = answer.ok ? 200 : 503
    ctx.body = answer
  })

  router.get('/metrics', async (ctx) => {
    const metrics = await registry()
    ctx.type = metrics.contentType
    ctx.body = await metrics.metrics()
  })

  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}
