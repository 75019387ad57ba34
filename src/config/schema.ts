import { z } from 'zod'
import { usernameProblem } from '../accounts/username.ts'
import { clientSchema } from '../clients/properties.ts'
import { duration } from '../values/duration-setting.ts'
import { isLoopback } from '../values/loopback.ts'
import { scopeProblem, textBy } from '../values/text.ts'
import { issuerRule } from '../values/uri.ts'
import { keptRing } from './sections/kept-ring.ts'
import { http, management, outgoing } from './sections/listeners.ts'
import { pages } from './sections/pages.ts'
import { type ringOverrides, rotation } from './sections/rotation.ts'
import { text } from './sections/setting-types.ts'
import { password, signIn } from './sections/sign-in.ts'
import { database, keyStore, redis, seal } from './sections/stores.ts'
import { resource, tokens } from './sections/tokens.ts'

/**
 * Every setting, once. Validation, description, TypeScript type and JSON Schema come from here and
 * from `sections/`; defaults are in `config/default.yaml`. Rules that tie settings to each other
 * are in `bounds.ts`.
 *
 * An `error` text completes the sentence "it must be ...". `writeOnly` (JSON Schema's word) marks a
 * secret, whose value is never shown.
 */

const issuer = textBy(issuerRule(isLoopback))

export const settingsSchema = z.strictObject({
  issuer: issuer.describe('The issuer identifier: the URL at which browsers and RPs see Keyturn.'),
  environment: z.enum(['development', 'production']).describe('production refuses shortcuts.'),
  profile: z
    .enum(['none', 'fapi2'])
    .describe('fapi2: all clients are held to the FAPI 2.0 Security Profile.'),
  http: http.describe('The public listener.'),
  outgoing: outgoing.describe('Requests that Keyturn makes to clients.'),
  management: management.describe('The listener for operators.'),
  database: database.describe('Where everything but keys is kept, and keys unless told.'),
  redis: redis.describe('Where sessions, codes and tokens are kept, and wake-ups are sent.'),
  keyStore: keyStore.describe('Where signing keys are kept.'),
  seal: seal.describe('How signing keys are sealed at rest.'),
  rotation: rotation.describe('How keys turn.'),
  tokens: tokens.describe('Lifetimes.'),
  resources: z.array(resource).describe('APIs that access tokens are for.'),
  clients: z.array(clientSchema).describe('Clients (RFC 7591) written into the store at start.'),
  claims: z.record(textBy(scopeProblem), z.array(text())).describe('Claims of each scope.'),
  pages: pages.describe('How the pages for people look.'),
  signIn: signIn.describe('Limits on failed sign-ins of people, clients and devices.'),
  password: password.describe('Passwords.'),
  sweep: z
    .strictObject({
      interval: duration({ max: 86_400 }).describe('How often expired records are deleted.'),
      batch: z.int().min(1).max(100_000).describe('Most records deleted at once.'),
    })
    .describe('Deletion of what has expired.'),
  dataProtection: z
    .strictObject({
      rings: z.array(keptRing).describe('Rings whose keys this server makes.'),
    })
    .describe('Key rings of ASP.NET Core Data Protection.'),
  log: z
    .strictObject({
      level: z
        .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
        .describe('Least level that is written.'),
      format: z.enum(['json', 'pretty', 'auto']).describe('auto is pretty on a terminal.'),
    })
    .describe('The log.'),
  admin: z
    .strictObject({
      username: textBy(usernameProblem).describe('Administrator made at the first start.'),
    })
    .describe('The first administrator.'),
})

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T

/** All settings, resolved; durations are seconds. */
export type Settings = DeepReadonly<z.output<typeof settingsSchema>>
export type RingOverrides = DeepReadonly<z.output<typeof ringOverrides>>
export type KeptRingSettings = Settings['dataProtection']['rings'][number]
export type ResourceSettings = Settings['resources'][number]

/** Source of a value; a setting without an origin has its default. */
export type Origin =
  | { readonly source: 'file'; readonly file: string; readonly line: number }
  | { readonly source: 'environment'; readonly name: string }

/** The settings in effect for one issuer, including those that apply to all issuers. */
export type IssuerConfig = Settings

/** The configuration that `loadConfig` returns: deeply frozen, and within every bound. */
export type Config = Omit<Settings, 'issuer'> & {
  /**
   * The settings in effect for each issuer. There is one, unless the configuration has `issuers`;
   * the settings beside this list apply to all.
   */
  readonly issuers: readonly IssuerConfig[]
  /** Warnings about safe settings, for the log at start. */
  readonly warnings: readonly string[]
  /** Origins by dotted path. */
  readonly origins: Readonly<Record<string, Origin>>
}
