import Router from '@koa/router'
import Koa from 'koa'
import type { Registry } from 'prom-client'
import { allowHosts } from './allowed-hosts.ts'

export interface ManagementOptions {
  /** Asked on every request of `/health/ready`. */
  readonly readiness: () => Promise<{ readonly ok: boolean }>
  /** The same for `/metrics`. */
  readonly registry: () => Registry | Promise<Registry>
  /** Names it may be asked by, besides IP addresses and `localhost`. */
  readonly hosts?: readonly string[]
}

/** What `management.host` and `management.hosts` allow: the name it listens at is one that it is asked by. */
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

  app.use(allowHosts(hosts))
  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}
