import net from 'node:net'

/**
 * A socket that a supervisor holds for its servers, as systemd does: connections to it wait while
 * no server takes them, and it stays when a server ends.
 */
export interface HeldSocket extends Disposable {
  /** Passed to a server as the fourth entry of `stdio`. */
  readonly fd: number
}

/** Undocumented part of `node:net` that binds without accepting connections in this process. */
interface BindingNet {
  _createServerHandle(
    address: string,
    port: number,
    family: 4,
  ): number | { readonly fd: number; close(): void }
}

/** Binds a port of 127.0.0.1; the first server that takes the socket listens on it. */
export function holdSocket(port: number): HeldSocket {
  // The types of Node lack it; a Node without it fails here.
  const handle = (net as unknown as BindingNet)._createServerHandle('127.0.0.1', port, 4)
  if (typeof handle === 'number') throw new Error(`port ${port} cannot be bound: ${handle}`)
  return { fd: handle.fd, [Symbol.dispose]: () => handle.close() }
}

/**
 * The command line that runs a program as the receiver of a passed socket, by the protocol of
 * sd_listen_fds(3): the shell names itself and becomes the program.
 */
export function receiving(program: readonly string[]): readonly [string, ...string[]] {
  return ['/bin/sh', '-c', 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', 'sh', ...program]
}
