import Router from '@koa/router'
import Koa from 'koa'
import type { Registry } from 'prom-client'
import type { Log } from '../seldom-log.ts'
import { allowHosts } from './allowed-hosts.ts'
import { isOfTheClient } from './gone.ts'

export interface ManagementOptions {
  /** Called on every request of `/health/ready`. */
  readonly readiness: () => Promise<{ readonly ok: boolean }>
  /** Called on every request of `/metrics`. */
  readonly registry: () => Registry | Promise<Registry>
  /** Host names that are answered besides IP addresses and `localhost`. */
  readonly hosts?: readonly string[]
  readonly log: Log
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
export function createManagementApp(options: ManagementOptions): Koa {
  const { readiness, registry, hosts = [], log } = options
  const app = new Koa()
  app.on('error', (error) => {
    if (!isOfTheClient(error)) log.error({ err: error }, 'a request of an operator failed')
  })
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
