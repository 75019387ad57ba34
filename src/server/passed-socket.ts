import { Refused } from '../errors.ts'

/**
 * The listening socket that a supervisor opens and passes to this process, and to others that share
 * it, as systemd does (sd_listen_fds(3)).
 */

/** Number of the first descriptor that is passed on. */
const FIRST = 3

/** Environment variables that say which descriptors are passed on, and to which process. */
interface PassedEnvironment {
  readonly LISTEN_FDS?: string | undefined
  readonly LISTEN_PID?: string | undefined
}

/**
 * @param env `process.env`
 * @param pid `process.pid`
 * @returns descriptor of the socket
 * @throws Refused where this process was not passed exactly one
 */
export function passedSocket({ LISTEN_FDS, LISTEN_PID }: PassedEnvironment, pid: number): number {
  const reason = problemOf(LISTEN_FDS, LISTEN_PID, pid)
  if (reason === undefined) return FIRST
  throw new Refused('socket_not_passed', {}, `http.socketActivation is true, but ${reason}.`)
}

function problemOf(count: string | undefined, receiver = '', pid: number): string | undefined {
  if (count === undefined) return 'no socket was passed to this process (LISTEN_FDS is not set)'
  if (receiver !== String(pid)) {
    return (
      `the socket was passed to process ${receiver} (LISTEN_PID), and this is process ${pid}: ` +
      'the unit must start node itself, not npm or a shell'
    )
  }
  if (count !== '1') return `${count} sockets were passed (LISTEN_FDS), and one is wanted`
  return undefined
}

/** Refusal of a descriptor that cannot be listened on. */
export function otherSocket(): Refused<'socket_not_passed'> {
  const message =
    'http.socketActivation is true, but what was passed is no TCP socket that listens. In the unit of ' +
    'the socket ListenStream= must name a port, and Accept= must be no.'
  return new Refused('socket_not_passed', {}, message)
}
