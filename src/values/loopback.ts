const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** Is it this machine's own name? @param hostname as `URL` gives it */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.includes(hostname)
}
