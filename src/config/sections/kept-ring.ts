import { z } from 'zod'
import { duration } from '../../values/duration-setting.ts'
import { databaseUrl, redisUrl, secret, text } from './setting-types.ts'

/** Settings of a key ring of ASP.NET Core Data Protection that this server keeps. */

/** A part of a name that people and metrics show behind `data-protection/`. */
const keptRingName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'a name of at most 64 letters, digits, dots, hyphens and underscores, such as shop',
})
export const keptRing = z.strictObject({
  name: keptRingName.describe('Commands, readiness and metrics call it data-protection/NAME.'),
  directory: text().optional().describe('Directory of PersistKeysToFileSystem.'),
  redis: redisUrl.optional().describe('Server of PersistKeysToStackExchangeRedis.'),
  list: text().optional().describe('Key of the list in Redis; DataProtection-Keys unless told.'),
  database: databaseUrl.optional().describe('Database of PersistKeysToDbContext.'),
  table: text().optional().describe('Its table; DataProtectionKeys unless told.'),
  applicationName: z
    .string({ error: 'text' })
    .min(1, { error: 'text that is not empty' })
    .optional()
    .describe('As in SetApplicationName; keys do not depend on it, what they protect does.'),
  certificates: z
    .array(
      z.strictObject({
        file: text().describe('PKCS#12 or PEM file with an RSA certificate and its private key.'),
        password: secret(z.string().optional().describe('Password of the file.')),
        passwordFile: text().optional().describe('File with the password of the file.'),
      }),
    )
    .default([])
    .describe('New secrets are encrypted for the first; older ones open what is there.'),
  lifetime: duration().optional().describe('From the creation of a key to its end; 90d.'),
  lead: duration().optional().describe('A key is made so long before it is needed; 14d.'),
  notice: duration().optional().describe('With less left than this, the keeper is late; 7d.'),
})
