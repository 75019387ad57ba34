import { execFile, execFileSync } from 'node:child_process'
import { accessSync, constants, globSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'

/** Programs of servers that tests and drills start themselves. */

/** Path of a program, or undefined; programs of servers are often in no folder of PATH. */
export function findProgram(name: string): string | undefined {
  const files = isAbsolute(name) ? [name] : folders().map((folder) => join(folder, name))
  return files.find((file) => {
    try {
      accessSync(file, isAbsolute(name) ? constants.R_OK : constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function folders(): readonly string[] {
  const postgres = globSync('/usr/lib/postgresql/*/bin').sort().reverse()
  return [...(process.env.PATH ?? '').split(delimiter), ...postgres, '/usr/sbin']
}

export interface Identity {
  readonly uid: number
  readonly gid: number
}

/** Identity for a server that refuses to run as root; undefined if this process is not root. */
export function identityOf(user: string): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const ask = (option: string) =>
    Number(execFileSync('id', [option, user], { encoding: 'utf8' }).trim())
  return { uid: ask('-u'), gid: ask('-g') }
}

/** Runs a program to its end. @throws with its output */
export async function run(
  name: string,
  args: readonly string[],
  options: { readonly uid?: number; readonly gid?: number; readonly cwd?: string } = {},
): Promise<void> {
  const program = findProgram(name)
  if (!program) throw new Error(`${name} is not installed`)
  await promisify(execFile)(program, args, options)
}
