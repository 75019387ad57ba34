import { z } from 'zod'
import { duration } from '../../values/duration-setting.ts'
import { databaseUrl, directory, file, redisUrl, secret, text } from './setting-types.ts'

/** Settings of a key ring of ASP.NET Core Data Protection that this server keeps. */

/** Name of a ring, which commands and metrics show after `data-protection/`. */
const keptRingName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'a name of at most 64 letters, digits, dots, hyphens and underscores, such as shop',
})
export const keptRing = z.strictObject({
  name: keptRingName.describe('Commands, readiness and metrics call it data-protection/NAME.'),
  directory: directory().optional().describe('Directory of PersistKeysToFileSystem.'),
  redis: redisUrl.optional().describe('Server of PersistKeysToStackExchangeRedis.'),
  list: text().optional().describe('Key of the list in Redis; default DataProtection-Keys.'),
  database: databaseUrl.optional().describe('Database of PersistKeysToDbContext.'),
  table: text().optional().describe('Table in the database; default DataProtectionKeys.'),
  applicationName: z
    .string({ error: 'text' })
    .min(1, { error: 'text that is not empty' })
    .optional()
    .describe('As in SetApplicationName; protected data depends on it, keys do not.'),
  certificates: z
    .array(
      z.strictObject({
        file: file().describe('PKCS#12 or PEM file with an RSA certificate and its private key.'),
        password: secret(z.string().optional().describe('Password of the file.')),
        passwordFile: file().optional().describe('File with the password of the file.'),
      }),
    )
    .default([])
    .describe('New secrets are encrypted for the first; the others open older secrets.'),
  lifetime: duration()
    .optional()
    .describe('Time from the creation of a key to its end; default 90d.'),
  lead: duration()
    .optional()
    .describe('Time by which a key is made before it is needed; default 14d.'),
  notice: duration()
    .optional()
    .describe('Remaining time below which a missing key is a problem; default 7d.'),
})
