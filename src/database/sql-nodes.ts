import { hash } from 'node:crypto'
import { type DataSource, LessThan } from 'typeorm'
import { z } from 'zod'
import type { NodeReport } from '../nodes/node.ts'
import type { NodeStore } from '../nodes/node-store.ts'
import { instant } from '../ring/limits.ts'
import { jsonOf } from '../values/json-of.ts'
import { attempt, attemptRead } from './failures.ts'
import { type NodeRow, nodeSchema } from './tables.ts'

/** SQL for the clock of a server, in seconds with fraction. SQLite uses this machine's clock. */
const TIME: Readonly<Record<string, string>> = {
  postgres: 'SELECT extract(epoch FROM clock_timestamp())::float8 AS now',
  mysql: 'SELECT UNIX_TIMESTAMP(SYSDATE(6)) AS now',
}

/** Fields of a report that this version knows. */
const nodeReport = z.object({
  id: z.string(),
  version: z.string(),
  issuer: z.string(),
  startedAt: instant,
  seenAt: instant,
  ringHash: z.string(),
  ringAge: z.number(),
  clockOffset: z.number().nullable(),
  kids: z.array(z.string()),
  obstacle: z.string().nullable(),
}) satisfies z.ZodType<NodeReport>

/** A process with several issuers tells of each, so the row is named after both. */
function rowId({ id, issuer }: Pick<NodeReport, 'id' | 'issuer'>): string {
  return `${id} ${hash('sha256', issuer, 'base64url').slice(0, 12)}`
}

/**
 * Reports are not authenticated, as nothing that keeps tokens valid depends on them. One that no
 * node wrote is passed over: it must not take readiness and metrics of all nodes with it.
 */
function readReport({ id, seenAt, body }: NodeRow): readonly NodeReport[] {
  const { data } = nodeReport.safeParse(jsonOf(body))
  return data && rowId(data) === id && data.seenAt === seenAt ? [data] : []
}

/** A NodeStore in the table `node`. */
export function createSqlNodes(dataSource: DataSource): NodeStore {
  const nodes = dataSource.getRepository(nodeSchema)
  const time = TIME[dataSource.options.type]
  return {
    time: () =>
      attemptRead('read the clock of the database', async () => {
        if (time === undefined) return undefined
        const [row]: { now: number | string }[] = await dataSource.query(time)
        return Number(row?.now)
      }),
    report: (node) =>
      attempt('tell of this node', async () => {
        const id = rowId(node)
        const { seenAt } = node
        await nodes.upsert({ id, seenAt, body: JSON.stringify(node) }, ['id'])
      }),
    list: () =>
      attemptRead('read the nodes', async () => {
        const rows = await nodes.find({ order: { id: 'ASC' } })
        return rows.flatMap(readReport)
      }),
    remove: (node) =>
      attempt('forget this node', async () => {
        await nodes.delete({ id: rowId(node) })
      }),
    forget: (before) =>
      attempt('forget nodes that are gone', async () => {
        await nodes.delete({ seenAt: LessThan(before) })
      }),
  }
}
