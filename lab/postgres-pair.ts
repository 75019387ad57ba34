import { appendFile, chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { createMember, type Member, untilTrue } from './postgres-member.ts'
import { findProgram, identityOf, run } from './programs.ts'
import { startTcpSwitch } from './tcp-switch.ts'
import { temporaryFolder } from './temporary.ts'

/** A PostgreSQL primary with its synchronous standby, behind a port that leads to the primary. */
export interface PostgresPair extends AsyncDisposable {
  /** Port that leads to the primary. */
  readonly port: number
  url(through?: number): string
  /**
   * Kills the primary, promotes the standby, and lets the port lead there.
   * @returns milliseconds until the new primary accepts writes
   */
  failOver(): Promise<number>
  /** Brings the killed server back as the synchronous standby of the other. */
  rebuild(): Promise<void>
}

/** Reason to skip tests of the pair, for `describe`, or false. In CI the pair must exist. */
export const skipPostgresPair: string | false = reasonToSkip()

function reasonToSkip(): string | false {
  if (findProgram('postgres') && findProgram('pg_basebackup')) return false
  if (process.env.CI) throw new Error('postgresql is not installed')
  return 'postgresql is not installed'
}

const STANDBY = 'standby'

export async function startPostgresPair(): Promise<PostgresPair> {
  const folder = await temporaryFolder()
  await chmod(folder.path, 0o755)
  const identity = identityOf('postgres')
  const home = join(folder.path, 'home')
  await mkdir(home)
  if (identity) await run('chown', [`${identity.uid}:${identity.gid}`, home])
  const as = { ...identity, cwd: home }
  const members = [createMember(as, await freePort()), createMember(as, await freePort())] as const
  let [primary, standby]: readonly [Member, Member] = members

  async function rebuild(): Promise<void> {
    await standby.kill()
    await rm(standby.data, { recursive: true, force: true })
    const from = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${STANDBY}`
    await run(
      'pg_basebackup',
      ['-D', standby.data, '-R', '-X', 'stream', '-c', 'fast', '-d', from],
      as,
    )
    // After its promotion the server has no standby to wait for.
    const own = join(standby.data, 'postgresql.auto.conf')
    await appendFile(own, "synchronous_standby_names = ''\n")
    await standby.start()
    await primary.query(`ALTER SYSTEM SET synchronous_standby_names = '${STANDBY}'`)
    await primary.query('SELECT pg_reload_conf()')
    await untilTrue('the standby is synchronous', async () => {
      const rows = await primary.query<{ sync_state: string }>(
        'SELECT sync_state FROM pg_stat_replication',
      )
      return rows[0]?.sync_state === 'sync'
    })
  }

  const lead = await startTcpSwitch(primary.port)
  const killAll = () => void Promise.all(members.map((member) => member.kill()))
  process.on('exit', killAll)
  const pair: PostgresPair = {
    port: lead.port,
    url: (through = lead.port) => `postgres://postgres@127.0.0.1:${through}/postgres`,
    rebuild,
    failOver: async () => {
      const from = performance.now()
      await primary.kill()
      lead.lead(undefined)
      await standby.query('SELECT pg_promote()')
      const took = performance.now() - from
      lead.lead(standby.port)
      ;[primary, standby] = [standby, primary]
      return took
    },
    [Symbol.asyncDispose]: async () => {
      process.removeListener('exit', killAll)
      await lead[Symbol.asyncDispose]()
      for (const member of members) await member.kill()
      // The server's other processes notice its end, and end too.
      await folder.remove().catch(async () => {
        await delay(500)
        await folder.remove()
      })
    },
  }
  try {
    await run(
      'initdb',
      ['-D', primary.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
      as,
    )
    await primary.start()
    await rebuild()
    return pair
  } catch (error) {
    await pair[Symbol.asyncDispose]()
    throw error
  }
}
