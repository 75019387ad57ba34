#!/usr/bin/env node
import { runCommand } from './cli/program.ts'
import { systemClock } from './clock.ts'

// The reader of a pipe may stop early, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})
process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  clock: systemClock,
  stdin: process.stdin,
  colors: process.stdout.isTTY && !process.env.NO_COLOR,
  print: (text) => process.stdout.write(`${text}\n`),
  warn: (text) => process.stderr.write(`${text}\n`),
})
