import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../../lab/free-port.ts'
import { killAtExit } from '../../lab/leftovers.ts'
import { findProgram, identityOf } from '../../lab/programs.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { until } from './redis.ts'

/** A PgBouncer of the tests alone, before a PostgreSQL. */

/** For `describe`: why PgBouncer is left out, or false. In CI it must be there. */
export const skipPgbouncer: string | false = reasonToSkip()

function reasonToSkip(): string | false {
  if (findProgram('pgbouncer')) return false
  if (process.env.CI) throw new Error('pgbouncer is not installed')
  return 'pgbouncer is not installed'
}

export interface Pgbouncer extends AsyncDisposable {
  /** The same database, through it. */
  readonly url: string
}

/** @param settings lines of its configuration, such as `pool_mode = transaction` */
export async function startPgbouncer(
  databaseUrl: string,
  settings: readonly string[] = [],
): Promise<Pgbouncer> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const target = new URL(databaseUrl)
  const { hostname, username, password } = target
  const file = join(folder.path, 'pgbouncer.ini')
  const login = `user=${username}${password && ` password=${decodeURIComponent(password)}`}`
  await writeFile(
    file,
    [
      '[databases]',
      `* = host=${hostname} port=${target.port || 5432} ${login}`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = any\nunix_socket_dir =`,
      ...settings,
      '',
    ].join('\n'),
  )
  await chmod(folder.path, 0o755)
  // It refuses to be root.
  const child = spawn(findProgram('pgbouncer') ?? 'pgbouncer', ['-q', file], {
    ...identityOf('postgres'),
    stdio: 'ignore',
  })
  killAtExit(child)
  const exited = once(child, 'exit')
  await until('PgBouncer answers', async () => {
    const socket = connect(port, '127.0.0.1')
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    return isThere
  })
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exited
      await folder.remove()
    },
  }
}
