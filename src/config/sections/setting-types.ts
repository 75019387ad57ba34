import { z } from 'zod'
import { databaseUrlProblem } from '../../connection/database-url.ts'
import { redisUrlProblem } from '../../connection/redis-url.ts'
import { SIGNATURE_ALGORITHMS } from '../../ring/algorithms.ts'
import { filePathProblem, pathProblem } from '../../values/path.ts'
import { nameProblem, textBy } from '../../values/text.ts'
import { hostPortProblem, hostProblem } from '../../values/uri.ts'

/** Types of values that several sections use. */

/** All algorithms of signing rings. */
export const algorithm = z.enum(
  Object.keys(SIGNATURE_ALGORITHMS) as (keyof typeof SIGNATURE_ALGORITHMS)[],
)

export const text = () => textBy(nameProblem)
export const directory = () => textBy(pathProblem)
export const file = () => textBy(filePathProblem)
export const host = () => textBy(hostProblem)
export const secret = <T extends z.ZodType>(schema: T) => schema.meta({ writeOnly: true })
export const port = () => z.int().min(0).max(65_535)

/**
 * A setting that there was, refused wherever it still stands.
 * @param why completes "left out, because"; says how to go on
 */
export const retired = (why: string) =>
  z
    .unknown()
    .check(({ value: input, issues }) => {
      if (input === undefined) return
      const message = `left out, because ${why}`
      issues.push({ code: 'custom', input, message, params: { remove: true } })
    })
    .optional()
    .meta({ deprecated: true, description: 'Refused, because it was replaced.' })

/** Shown without its password (`secret.ts`). */
const uri = { format: 'uri' } as const

/**
 * A server's URL. Blanks, and capitals in the scheme, are refused, although a URL parser mends them
 * silently.
 */
const serverUrl = (problemOf: (url: string) => string | undefined) =>
  textBy((url) => {
    const scheme = url.slice(0, url.indexOf(':'))
    // A path of a file may contain blanks, a URL may not.
    const isMended =
      nameProblem(url) !== undefined ||
      scheme !== scheme.toLowerCase() ||
      (scheme !== 'sqlite' && /\s/.test(url))
    const expected = problemOf(isMended ? '' : url)
    return expected === undefined ? undefined : { expected }
  }).meta(uri)

export const databaseUrl = serverUrl(databaseUrlProblem)
export const redisUrl = serverUrl(redisUrlProblem)

export const hostPort = textBy(hostPortProblem)
