import Router from '@koa/router'
import Koa from 'koa'
import type { Registry } from 'prom-client'
import { allowHosts } from './allowed-hosts.ts'

export interface ManagementOptions {
  /** Called on every request of `/health/ready`. */
  readonly readiness: () => Promise<{ readonly ok: boolean }>
  /** Called on every request of `/metrics`. */
  readonly registry: () => Registry | Promise<Registry>
  /** Host names that are answered besides IP addresses and `localhost`. */
  readonly hosts?: readonly string[]
}

/**
 * Host names that the management listener answers for: `management.host` and `management.hosts`.
 */
export function managementHosts({
  host,
  hosts,
}: {
  readonly host: string
  readonly hosts: readonly string[]
}): readonly string[] {
  return [host, ...hosts]
}

/** The management listener: `/health/live`, `/health/ready` and `/metrics`. */
export function createManagementApp({ readiness, registry, hosts = [] }: ManagementOptions): Koa {
  const app = new Koa()
  const router = new Router()

  // A process that answers is alive; readiness tells about what it depends on.
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

  app.use(allowHosts(hosts))
  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}
