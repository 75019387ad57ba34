import type { Violation } from '../errors.ts'
import { withoutEmpty, withResponseTypes } from './complete.ts'
import type { ClientContext } from './context.ts'
import { brokenClientRules } from './rules.ts'

/** Clients of the configuration before validation: any value may stand under `clients`. */

/** The settings with their clients completed as commands complete theirs. */
export function withCompleteClients(settings: unknown): unknown {
  if (typeof settings !== 'object' || settings === null) return settings
  if (!('clients' in settings) || !Array.isArray(settings.clients)) return settings
  const clients = settings.clients.map((client: unknown) => {
    const metadata = withoutEmpty(client)
    const isMap = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
    // The parser of YAML makes all names of a map text.
    return isMap ? withResponseTypes(metadata as Readonly<Record<string, unknown>>) : metadata
  })
  return { ...settings, clients }
}

/** Every rule that the configured clients break. Malformed values are left to the schema. */
export function brokenConfiguredClients(
  settings: unknown,
  context: ClientContext,
): readonly Violation[] {
  if (typeof settings !== 'object' || settings === null) return []
  if (!('clients' in settings) || !Array.isArray(settings.clients)) return []
  const { clients } = settings
  const broken = clients.flatMap((client: unknown, index) =>
    brokenClientRules(client, context).map((violation) => inFull(violation, `clients.${index}`)),
  )
  return [...broken, ...repeatedIds(clients)]
}

/** The violation with the full path of the setting, also in its fix. */
function inFull(violation: Violation, client: string): Violation {
  const path = `${client}.${violation.path}`
  const fix = violation.fix.replaceAll(/[\w.]+/g, (word) => (word === violation.path ? path : word))
  return { ...violation, path, fix }
}

function repeatedIds(clients: readonly unknown[]): readonly Violation[] {
  const ids = clients.map((client) =>
    typeof client === 'object' && client !== null && 'client_id' in client
      ? client.client_id
      : undefined,
  )
  return ids.flatMap((id, index) => {
    const first = ids.indexOf(id)
    if (id === undefined || first === index) return []
    const path = `clients.${index}.client_id`
    const message = `clients.${first} has the same client_id`
    return [
      { path, value: id, rule: 'repeated', message, fix: `remove or rename clients.${index}` },
    ]
  })
}
