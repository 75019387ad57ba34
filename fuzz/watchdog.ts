import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

/**
 * Runs in a thread beside a fuzzer: where that stands still, its own code cannot say so. The number
 * of inputs that are done is shared memory.
 */

// The shape is that of the fuzzer which starts this thread.
const { done, patience } = workerData as { done: Int32Array; patience: number }
let seen = -1
for (;;) {
  // Wakes up only at its end: nobody notifies.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, patience)
  const now = Atomics.load(done, 0)
  if (now === seen) {
    writeSync(2, `\nIt hangs in one of the 100 inputs from number ${now} on.\n`)
    process.kill(process.pid, 'SIGKILL')
  }
  seen = now
}
