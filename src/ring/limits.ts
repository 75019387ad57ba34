import { z } from 'zod'

/** How large the numbers of a record can be: what is beyond was not written by Keyturn. */

/** The last second of the year 9999, the latest that RFC 3339 can write. */
const INSTANT_MAX = 253_402_300_799

/** What every engine's 32-bit column holds. A ring that turned each second would get there in 68 years. */
export const GENERATION_MAX = 2 ** 31 - 1

/** Seconds since the epoch. Keys are backdated, in tests beyond the epoch itself. */
export const instant = z.int().min(-INSTANT_MAX).max(INSTANT_MAX)

export const generation = z.int().min(1).max(GENERATION_MAX)
