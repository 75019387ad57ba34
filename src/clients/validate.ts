import type { Violation } from '../errors.ts'
import { schemaViolations } from '../schema/violations.ts'
import type { ClientContext } from './context.ts'
import { clientSchema } from './properties.ts'
import { brokenClientRules } from './rules.ts'

/**
 * Validates a client that a command gives, from options or a file. The configuration validates its
 * clients with the same schema (`config/schema.ts`) and the same rules (`configured.ts`).
 * @param metadata completed (`complete.ts`)
 * @returns every problem, with paths relative to the client
 */
export function clientViolations(metadata: unknown, context: ClientContext): readonly Violation[] {
  return [...schemaViolations(clientSchema, metadata), ...brokenClientRules(metadata, context)]
}
