#!/usr/bin/env node
import module from 'node:module'
import { join } from 'node:path'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 11)) {
  process.stderr.write(`Keyturn needs Node 24.11 or later; this is ${process.version}.\n`)
  process.exit(1)
}

// Enabled before anything else is loaded, because the cache halves the loading time of a command.
// An installed server would start 0.2 s sooner with it and need 7 MB more as long as it runs; one
// from source would strip types at each start without it. The folder is the package's own and not a
// shared one, because write access to the cache is enough to run code here. A read-only folder has
// no effect.
const isInstalledServer = import.meta.filename.endsWith('.js') && process.argv.includes('serve')
if (!isInstalledServer)
  module.enableCompileCache?.(join(import.meta.dirname, '../node_modules/.cache/keyturn'))
const [{ runCommand }, { systemClock }, { endWithNpm }] = await Promise.all([
  import('./cli/program.ts'),
  import('./clock.ts'),
  import('./cli/npm-parent.ts'),
])
endWithNpm(process.env)

/** True once a part of the answer was lost. */
let isCutOff = false

// A command that has begun is carried out, although nobody reads its answer any more: the reader of
// a pipe may stop early, like `head`. Failures of standard error could be told to nobody.
process.stderr.on('error', () => {})
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE' || isCutOff) return
  isCutOff = true
  process.stderr.write(
    `The answer cannot be written to standard output: ${message}. The command may have been carried ` +
      'out all the same: look before you repeat it.\n',
  )
})
process.once('exit', () => {
  if (isCutOff) process.exitCode ||= 1
})
process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  clock: systemClock,
  stdin: process.stdin,
  colors: process.stdout.isTTY && !process.env.NO_COLOR,
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  print: (text) => process.stdout.write(`${text}\n`),
  warn: (text) => process.stderr.write(`${text}\n`),
  ...(process.stderr.isTTY
    ? { progress: (text: string) => process.stderr.write(`\r\x1b[K${text}`) }
    : {}),
})
