import type { DataSource } from 'typeorm'
import { attemptRead } from './failures.ts'

/**
 * Seconds beyond evs.suspect_timeout until commits continue after the death of a node, because the
 * others must agree on its loss first. Measured: 6 s with the default of 5 s.
 */
const AGREEMENT = 1

/** Galera's default of evs.suspect_timeout in seconds. */
const SUSPECT_TIMEOUT = 5

/**
 * Seconds that `database.timeout` should leave after commits continue, for all waiting requests.
 */
const SPARE = 4

/**
 * Advice for operators about a Galera cluster behind `database.url`; empty if there is none.
 * @param timeout `database.timeout`, in seconds
 * @throws StoreUnavailable
 */
export async function galeraAdvice(
  dataSource: DataSource,
  timeout: number,
): Promise<readonly string[]> {
  if (dataSource.options.type !== 'mysql') return []
  const variables = await attemptRead('read how the cluster is set up', async () => {
    const rows: { Variable_name: string; Value: string }[] = await dataSource.query(
      `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_provider_options')`,
    )
    return new Map(rows.map((row) => [row.Variable_name, row.Value]))
  })
  if (variables.get('wsrep_on') !== 'ON') return []
  return timeoutAdvice(variables.get('wsrep_provider_options') ?? '', timeout)
}

/**
 * Advice if `database.timeout` is shorter than a cluster needs to continue without a dead node.
 * @param options `wsrep_provider_options`, which is empty without a cluster
 * @param timeout `database.timeout`, in seconds
 */
export function timeoutAdvice(options: string, timeout: number): readonly string[] {
  if (options === '') return []
  const suspect = seconds(/evs\.suspect_timeout *= *(\S+?);/.exec(options)?.[1]) ?? SUSPECT_TIMEOUT
  const needed = Math.ceil(suspect + AGREEMENT)
  if (timeout > needed) return []
  return [
    `The database is a Galera cluster. When one of its nodes dies, commits wait for ${needed} s ` +
      `(evs.suspect_timeout ${suspect} s, and some time to agree), and database.timeout gives up after ${timeout} s. ` +
      `Set database.timeout to ${needed + SPARE}s, or evs.suspect_timeout to less.`,
  ]
}

/** Seconds of an ISO 8601 duration as Galera writes it, such as PT5S or PT0.5S. */
function seconds(text: string | undefined): number | undefined {
  const [, minutes, rest] = /^PT(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(text ?? '') ?? []
  if (minutes === undefined && rest === undefined) return undefined
  return Number(minutes ?? 0) * 60 + Number(rest ?? 0)
}
