import { z } from 'zod'
import { duration } from '../../values/duration-setting.ts'

/** Settings of limits on failed attempts, and of passwords. */

const attempts = () => z.int().min(1)
const attemptsOrAuto = () =>
  z.union([z.literal('auto'), attempts()], { error: 'a whole number of at least 1, or auto' })
const networkAttempts = () => ({
  perAddress: attempts().describe('Failures from one address: IPv4 /32, IPv6 /64.'),
  perSite: attemptsOrAuto().describe('Failures from one IPv6 /56.'),
  perNetwork: attemptsOrAuto().describe('Failures from one network: IPv4 /24, IPv6 /48.'),
})
const attemptWindow = () =>
  duration({ max: 86_400 }).describe('Time in which failures are counted.')
export const signIn = z.strictObject({
  perAccountAndAddress: attempts().describe('Failures of one account from one address.'),
  perAccountAndSite: attemptsOrAuto().describe('Failures of one account from one IPv6 /56.'),
  perAccountAndNetwork: attemptsOrAuto().describe(
    'Failures of one account from one /24 or IPv6 /48.',
  ),
  perAccount: attempts().describe('Failures of one account.'),
  ...networkAttempts(),
  perKnownBrowser: attempts().describe('Failures of one account in a browser that knows it.'),
  window: attemptWindow(),
  knownBrowser: duration({ min: 0, max: 34_560_000 }).describe(
    'How long a browser is known by a sign-in; 0s knows none.',
  ),
  clientSecrets: z
    .strictObject({
      perClientAndAddress: attempts().describe('Failures of one client from one address.'),
      perClientAndSite: attemptsOrAuto().describe('Failures of one client from one IPv6 /56.'),
      perClientAndNetwork: attemptsOrAuto().describe(
        'Failures of one client from one /24 or IPv6 /48.',
      ),
      ...networkAttempts(),
      window: attemptWindow(),
    })
    .describe('Limits on clients that fail to authenticate.'),
  userCodes: z
    .strictObject({ ...networkAttempts(), window: attemptWindow() })
    .describe('Limits on wrong user codes of devices (RFC 8628, section 5.1).'),
})

export const password = z.strictObject({
  minLength: z.int().min(8).max(64).describe('Fewest characters of a new password.'),
  argon2: z
    .strictObject({
      memoryKiB: z.int().min(7_168).max(4_194_304).describe('Memory of one hash, in KiB.'),
      passes: z.int().min(1).max(100).describe('Passes over the memory.'),
      parallelism: z.int().min(1).max(64).describe('Lanes.'),
    })
    .describe('Cost of one Argon2id hash (RFC 9106).'),
})
