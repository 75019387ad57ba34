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
 * Every broken rule. What is malformed is told by the schema, and says nothing of what was meant: a
 * rule that needs it is silent.
 * @param metadata as it was given, or completed
 */
export function brokenClientRules(metadata: unknown, context: ClientContext): readonly Violation[] {
  const { client, malformed } = wellFormed(metadata)
  const ruled = withDefaults(client)
  return RULES.filter(({ needs }) => !needs.some((name) => malformed.has(name))).flatMap(
    ({ check }) => check(ruled, context),
  )
}

/**
 * The properties with which the schema finds nothing wrong, and the names of the others. Of a list,
 * what is malformed is left empty.
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
    // As it would be stored: durations are seconds.
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined
    if (!malformed.has(name)) return [[name, schema?.safeParse(value).data ?? value]]
    if (!Array.isArray(value)) return []
    const wrong = issues.filter(({ path }) => path[0] === name).map(({ path }) => path[1])
    return [[name, value.map((item, index) => (wrong.includes(index) ? undefined : item))]]
  })
  // They have the approval of the schema.
  return { client: Object.fromEntries(kept) as Partial<ClientProperties>, malformed }
}
