import { z } from 'zod'
import { databaseUrlProblem } from '../../connection/database-url.ts'
import { redisUrlProblem } from '../../connection/redis-url.ts'
import { SIGNATURE_ALGORITHMS } from '../../ring/algorithms.ts'
import { nameProblem, textBy } from '../../values/text.ts'
import { hostPortProblem, hostProblem } from '../../values/uri.ts'

/** Kinds of values that settings of several sections have. */

/** All algorithms a signing ring can have. */
export const algorithm = z.enum(
  Object.keys(SIGNATURE_ALGORITHMS) as (keyof typeof SIGNATURE_ALGORITHMS)[],
)

export const text = () => textBy(nameProblem)
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

/** What a URL parser mends in silence is refused as well: blanks, and capitals in the scheme. */
const serverUrl = (problemOf: (url: string) => string | undefined) =>
  textBy((url) => {
    const scheme = url.slice(0, url.indexOf(':'))
    // The path of a file may have blanks inside, a URL has none.
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
