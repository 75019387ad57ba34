import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { service, serviceUrl } from '../lab/services.ts'
import type { Stores } from './figure.ts'

/** Settings of a server under test with its own stores. */
export interface OwnStores {
  readonly settings: { readonly database?: object; readonly redis?: object }
  drop(): Promise<void>
}

/** @throws if the database or Redis does not answer */
export async function createStores(stores: Stores): Promise<OwnStores> {
  if (stores === 'PostgreSQL') {
    const postgres = await service('postgres')
    if (postgres.skip !== undefined) throw new Error(postgres.skip)
    const { url, drop } = await postgres.create()
    return { settings: { database: { url } }, drop }
  }
  if (stores === 'Redis') {
    const url = serviceUrl('redis')
    const prefix = `keyturn-bench-${randomUUID()}:`
    return { settings: { redis: { url, prefix } }, drop: () => deleteKeys(url, prefix) }
  }
  return { settings: {}, drop: async () => {} }
}

async function deleteKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 })) {
    if (keys.length > 0) await redis.unlink(...keys)
  }
  await redis.quit()
}
