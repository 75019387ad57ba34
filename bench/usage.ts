/** Processor time that this process has used so far, in milliseconds. */
export interface Usage {
  /** Time of all threads. */
  readonly process: number
  /**
   * Time of the thread that answers requests; passwords and RSA signatures are computed on others.
   */
  readonly main: number
}

export function readUsage(): Usage {
  return { process: total(process.cpuUsage()), main: total(process.threadCpuUsage()) }
}

function total({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000
}
