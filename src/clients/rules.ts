import type { z } from 'zod'
import type { Violation } from '../errors.ts'
import type { ClientContext } from './context.ts'
import { type ClientProperties, clientSchema } from './properties.ts'
import { ANSWER_RULES } from './rules/answers.ts'
import { API_RULES } from './rules/apis.ts'
import { AUTHENTICATION_RULES } from './rules/authentication.ts'
import { FAPI2_RULES } from './rules/fapi2.ts'
import { GRANT_RULES } from './rules/grants.ts'
import { LIFETIME_RULES } from './rules/lifetimes.ts'
import { OWN_RULES } from './rules/own.ts'
import { withDefaults } from './rules/rule.ts'
import { URI_RULES } from './rules/uris.ts'

/** Rules that tie the properties of one client to each other and to the server. Pure. */

const RULES = [
  ...AUTHENTICATION_RULES,
  ...GRANT_RULES,
  ...API_RULES,
  ...OWN_RULES,
  ...LIFETIME_RULES,
  ...URI_RULES,
  ...ANSWER_RULES,
  ...FAPI2_RULES,
]

/**
 * Every rule that a client breaks. Malformed properties are left to the schema; a rule that needs
 * one is skipped, because the intended value is unknown.
 * @param metadata as given, or completed
 */
export function brokenClientRules(metadata: unknown, context: ClientContext): readonly Violation[] {
  const { client, malformed } = wellFormed(metadata)
  const ruled = withDefaults(client)
  return RULES.filter(({ needs }) => !needs.some((name) => malformed.has(name))).flatMap(
    ({ check }) => check(ruled, context),
  )
}

/**
 * The valid properties, and the names of malformed ones. A malformed entry of a list becomes
 * undefined.
 */
function wellFormed(metadata: unknown): {
  readonly client: Partial<ClientProperties>
  readonly malformed: ReadonlySet<string>
} {
  const given = typeof metadata === 'object' && metadata !== null ? metadata : {}
  const issues = clientSchema.safeParse(given).error?.issues ?? []
  const malformed = new Set(issues.flatMap(({ path: [name] }) => (name ? [String(name)] : [])))
  const shape: Readonly<Record<string, z.ZodType>> = clientSchema.shape
  const kept = Object.entries(given).flatMap(([name, value]): [string, unknown][] => {
    // The schema's output is what would be stored; durations are seconds.
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined
    if (!malformed.has(name)) return [[name, schema?.safeParse(value).data ?? value]]
    if (!Array.isArray(value)) return []
    const wrong = issues.filter(({ path }) => path[0] === name).map(({ path }) => path[1])
    return [[name, value.map((item, index) => (wrong.includes(index) ? undefined : item))]]
  })
  // The cast is right, because the schema found nothing wrong with these properties.
  return { client: Object.fromEntries(kept) as Partial<ClientProperties>, malformed }
}
