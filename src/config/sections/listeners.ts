import { z } from 'zod'
import { duration } from '../../values/duration-setting.ts'
import { host, port, retired } from './setting-types.ts'

/** Settings of listeners, and of requests that Keyturn makes itself. */

const limits = z.strictObject({
  connections: z.int().min(10).max(1_000_000).describe('Connections to one process at once.'),
  requestsPerConnection: z
    .int()
    .min(1)
    .max(10_000)
    .describe('Requests of one connection that may wait for their answers.'),
  chunks: z
    .int()
    .min(100)
    .max(100_000)
    .describe('Chunks in which one connection may send the content of these requests.'),
  requests: z.int().min(10).max(100_000).describe('Requests that one process works on at once.'),
  answerTime: duration({ max: 60 }).describe(
    'Time to answer a whole request; after it the answer is 503.',
  ),
  unread: duration({ max: 3600 }).describe('How long a client may leave an answer unread.'),
  headerSize: z
    .int()
    .min(8_192)
    .max(1_048_576)
    .describe('Bytes of a request line and its header fields.'),
  headerTime: duration({ max: 600 }).describe('Time to send the request line and header fields.'),
  requestTime: duration({ max: 3600 }).describe('Time to send a whole request.'),
  keepAlive: duration({ max: 3600 }).describe('How long an idle connection stays open.'),
  parameters: z.int().min(20).max(1000).describe('Parameters in a query or form.'),
  parameterLength: z.int().min(256).max(32_768).describe('Characters of one parameter.'),
  jwtLength: z
    .int()
    .min(1024)
    .max(49_152)
    .describe('Characters of one parameter that holds a JWT.'),
})

export const http = z.strictObject({
  host: host().describe('Address the public listener binds; 0.0.0.0 or :: for all.'),
  port: port().describe('Port of the public listener; 0 takes a free one.'),
  trustedProxies: z
    .int()
    .min(0)
    .describe('Number of reverse proxies in front, whose X-Forwarded-For is trusted.'),
  shutdownDelay: duration({ min: 0, max: 600 }).describe(
    'Time between "not ready" and the end of listening at shutdown.',
  ),
  shutdownTimeout: duration({ max: 600 }).describe('Time for open requests to end at shutdown.'),
  socketActivation: z
    .boolean()
    .describe('Take the listening socket that systemd passes, in the place of host and port?'),
  workers: retired(
    'a server is one process: start it several times with the socket of one systemd unit ' +
      '(http.socketActivation), or behind a load balancer',
  ),
  limits: limits.describe('Limits on the resources that clients use.'),
})

export const outgoing = z.strictObject({
  backchannelLogout: z
    .boolean()
    .describe('Whether clients are notified of a sign-out (Back-Channel Logout 1.0).'),
  privateNetworks: z
    .boolean()
    .describe(
      'Whether requests to clients (jwks_uri, back-channel logout) may go to private addresses.',
    ),
})

export const management = z.strictObject({
  host: host().describe('Address of the management listener (health and metrics).'),
  port: port().describe('Port of the management listener; 0 takes a free one.'),
  hosts: z
    .array(host())
    .describe(
      'Host names of requests that are accepted, besides IP addresses, localhost and its own host.',
    ),
  readiness: z
    .enum(['lenient', 'strict'])
    .describe('strict: not ready as soon as the database or Redis fails.'),
})
