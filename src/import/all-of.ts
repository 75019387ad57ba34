import type { z } from 'zod'

/**
 * A list of which each fits a schema; undefined at the first that does not. A schema of the whole list would note
 * everything that is wrong with half a million of them, which takes far more memory than they do.
 */
export function allOf<T>(schema: z.ZodType<T>, list: readonly unknown[]): readonly T[] | undefined {
  const found: T[] = []
  for (const value of list) {
    const parsed = schema.safeParse(value)
    if (!parsed.success) return undefined
    found.push(parsed.data)
  }
  return found
}
