import { z } from 'zod'
import { NEVER } from './key.ts'

/** How large the numbers of a record can be: what is beyond was not written by Keyturn. */

const INSTANT_MAX = NEVER

/** What every engine's 32-bit column holds. A ring that turned each second would get there in 68 years. */
export const GENERATION_MAX = 2 ** 31 - 1

/** Seconds since the epoch. Keys are backdated, in tests beyond the epoch itself. */
export const instant = z.int().min(-INSTANT_MAX).max(INSTANT_MAX)

export const generation = z.int().min(1).max(GENERATION_MAX)
