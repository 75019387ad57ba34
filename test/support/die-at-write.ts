import { onWrites } from './writes.ts'

/**
 * Loaded before a command (`--import`): kills its process, as nothing else can be done about it,
 * once it has sent the write of the number in DIE_AT.
 */

let left = Number(process.env.DIE_AT)

onWrites({
  after: () => {
    left--
    if (left === 0) process.kill(process.pid, 'SIGKILL')
  },
})
