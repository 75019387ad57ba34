import type { Violation } from '../errors.ts'
import { schemaViolations } from '../schema/violations.ts'
import type { ClientContext } from './context.ts'
import { clientSchema } from './properties.ts'
import { brokenClientRules } from './rules.ts'

/**
 * THE ONE VALIDATOR OF CLIENTS that commands give, from options or a file. The configuration has the
 * same schema within its own (`config/schema.ts`) and the same rules (`configured.ts`).
 * @param metadata completed (`complete.ts`)
 * @returns every problem; paths begin at the client
 */
export function clientViolations(metadata: unknown, context: ClientContext): readonly Violation[] {
  return [...schemaViolations(clientSchema, metadata), ...brokenClientRules(metadata, context)]
}
