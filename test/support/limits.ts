import type { ListenerLimits } from '../../src/http/listener.ts'

/** Limits of a listener that a test can reach. */
export const LISTENER_LIMITS: ListenerLimits = {
  connections: 100,
  requestsPerConnection: 4,
  chunks: 200,
  unread: 3,
  headerSize: 16_384,
  headerTime: 10,
  requestTime: 30,
  keepAlive: 75,
}
