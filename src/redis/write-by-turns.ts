import { Cluster, type Redis } from 'ioredis'

/**
 * Makes a client write all commands of one turn of the event loop at once. ioredis's own
 * `enableAutoPipelining` costs twice the processor time, delays a batch until the one before is
 * answered, and in a Cluster passes redirections to the caller.
 * @returns runs a job at the end of this turn, just before its commands are sent
 */
export function writeByTurns(client: Redis | Cluster): (job: () => void) => void {
  let isGathering = false
  let endOfTurnJobs: (() => void)[] = []

  function gather(): void {
    if (isGathering) return
    isGathering = true
    const nodes = client instanceof Cluster ? client.nodes('master') : [client]
    const streams = nodes.map((node) => node.stream)
    for (const stream of streams) stream?.cork()
    setImmediate(() => {
      const jobs = endOfTurnJobs
      endOfTurnJobs = []
      try {
        for (const job of jobs) job()
      } finally {
        isGathering = false
        for (const stream of streams) stream?.uncork()
      }
    })
  }

  // Covers all users of `client`, including libraries. Only a Cluster's method has a node as
  // argument.
  const sendCommand: Cluster['sendCommand'] = client.sendCommand.bind(client)
  client.sendCommand = (...command: Parameters<typeof sendCommand>) => {
    gather()
    return sendCommand(...command)
  }

  return (job) => {
    endOfTurnJobs.push(job)
    gather()
  }
}
