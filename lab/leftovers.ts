import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'

/**
 * Undoes at the end of this process what was not undone before, because a test that fails, is too
 * slow or is interrupted ends before its last lines. Only after SIGKILL something is left behind.
 */
const left = new Set<() => void>()
let isWatched = false

/**
 * @param undo must work synchronously, because nothing can be awaited at exit
 * @returns function to call once it was undone
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
    // The last first, because a program runs in a folder that was made before it.
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
      // Another listener decides when this process ends.
      if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal])
    })
  }
}
