import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { killAtExit } from '../../lab/leftovers.ts'
import { findProgram } from '../../lab/programs.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { until } from './redis.ts'

/** For `describe`: why tests with nginx are left out, or false. In CI they must run. */
export const skipNginx: string | false = reasonToSkip()

function reasonToSkip(): string | false {
  if (findProgram('nginx')) return false
  if (process.env.CI) throw new Error('nginx is not installed')
  return 'nginx is not installed'
}

/** What a machine of the tests has elsewhere than a container; each has to be in the file. */
const MOVED = (ports: { front: number; back: number }, folder: string) =>
  [
    ['events {}', `error_log stderr;\npid ${folder}/pid;\nevents {}`],
    ['http {', `http {\naccess_log off;\n${temporaryPaths(folder)}`],
    ['listen 80;', `listen 127.0.0.1:${ports.front};`],
    // `resolve` needs nginx 1.27.3 and a name server; nothing moves here.
    [/server keyturn:3000 resolve/, `server localhost:${ports.back}`],
    [/resolver 127\.0\.0\.11 valid=2s;/, ''],
    ['/tmp/keyturn ', `${folder}/cache `],
  ] as const

function temporaryPaths(folder: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n')
}

/** A real nginx with `deploy/nginx.conf`, of which only addresses and folders are other ones. */
export async function startNginx(ports: {
  readonly front: number
  readonly back: number
}): Promise<AsyncDisposable> {
  const folder = await temporaryFolder()
  const shipped = readFileSync(join(import.meta.dirname, '../../deploy/nginx.conf'), 'utf8')
  const text = MOVED(ports, folder.path).reduce((before, [part, instead]) => {
    const after = before.replace(part, instead)
    if (after === before) throw new Error(`deploy/nginx.conf has no ${part}`)
    return after
  }, shipped)
  const file = join(folder.path, 'nginx.conf')
  await writeFile(file, text)
  await mkdir(join(folder.path, 'cache'))
  const program = findProgram('nginx')
  if (!program) throw new Error('nginx is not installed')
  // Root is given away by nginx itself, to a user who could not enter the folder.
  const more = `daemon off;${process.getuid?.() === 0 ? ' user root;' : ''}`
  const child = spawn(program, ['-p', folder.path, '-c', file, '-e', 'stderr', '-g', more], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  killAtExit(child)
  let output = ''
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  const ended = once(child, 'close')
  const close = async () => {
    child.kill('SIGTERM')
    await ended
    await folder.remove()
  }
  try {
    await until('nginx answers', async () => {
      if (child.exitCode !== null) throw new Error(`nginx ended:\n${output}`)
      return await fetch(`http://127.0.0.1:${ports.front}/`).then(
        () => true,
        () => false,
      )
    })
  } catch (error) {
    await close()
    throw error
  }
  return { [Symbol.asyncDispose]: close }
}
