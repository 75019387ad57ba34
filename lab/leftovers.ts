import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'

/**
 * What is undone at the end of this process, where nobody came to it before: a test that fails, is too
 * slow or is interrupted ends before its last lines. SIGKILL alone leaves something behind.
 */
const left = new Set<() => void>()
let isWatched = false

/**
 * @param undo must be done when it returns, as nothing can be waited for any more
 * @returns to be called where it was undone
 */
export function undoAtExit(undo: () => void): () => void {
  watch()
  left.add(undo)
  return () => void left.delete(undo)
}

/** Ends a process with this one. */
export function killAtExit(child: ChildProcess): void {
  child.once(
    'exit',
    undoAtExit(() => void child.kill('SIGKILL')),
  )
}

function watch(): void {
  if (isWatched) return
  isWatched = true
  process.on('exit', () => {
    // The last first: a program is in a folder that was there before.
    for (const undo of [...left].reverse()) {
      try {
        undo()
      } catch (error) {
        process.stderr.write(`something is left behind: ${error}\n`)
      }
    }
  })
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Who else listens decides when this process ends.
      if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal])
    })
  }
}
