const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** True for a name of this machine itself. @param hostname as `URL` gives it */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.includes(hostname)
}
