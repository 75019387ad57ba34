import Router from '@koa/router'
import Koa from 'koa'
import type { Registry } from 'prom-client'

/** The answer of one readiness check. */
export interface Check {
  readonly ok: boolean
  /** In words an operator understands, with numbers. */
  readonly detail: string
}

export interface ManagementOptions {
  readonly registry: Registry
  /** Each is asked on every request of `/health/ready`. */
  readonly checks: Readonly<Record<string, () => Check | Promise<Check>>>
}

/** The management listener: `/health/live`, `/health/ready` and `/metrics`. */
export function createManagementApp({ registry, checks }: ManagementOptions): Koa {
  const app = new Koa()
  const router = new Router()

  // Alive is a process that answers; what it depends on is a matter of readiness.
  router.get('/health/live', (ctx) => {
    ctx.body = { ok: true }
  })

  router.get('/health/ready', async (ctx) => {
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await check()] as const),
    )
    const ok = results.every(([, result]) => result.ok)
    ctx.status = ok ? 200 : 503
    ctx.body = { ok, checks: Object.fromEntries(results) }
  })

  router.get('/metrics', async (ctx) => {
    ctx.type = registry.contentType
    ctx.body = await registry.metrics()
  })

  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}
