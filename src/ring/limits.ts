import { z } from 'zod'
import { NEVER } from './key.ts'

/** Limits of the numbers in a record; Keyturn writes no larger ones. */

const INSTANT_MAX = NEVER

/**
 * Largest generation, which fits a 32-bit column of every engine. A ring that turned each second
 * would reach it in 68 years.
 */
export const GENERATION_MAX = 2 ** 31 - 1

/** Seconds since the epoch. Keys are backdated, in tests even to before the epoch. */
export const instant = z.int().min(-INSTANT_MAX).max(INSTANT_MAX)

export const generation = z.int().min(1).max(GENERATION_MAX)
