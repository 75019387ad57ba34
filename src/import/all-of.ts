import type { z } from 'zod'

/**
 * Returns a list if each item fits a schema; undefined at the first that does not. A schema of the
 * whole list would note every fault of half a million items, which takes far more memory than the
 * items.
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
