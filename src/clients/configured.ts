import type { Violation } from '../errors.ts'
import { withoutEmpty, withResponseTypes } from './complete.ts'
import type { ClientContext } from './context.ts'
import { brokenClientRules } from './rules.ts'

/** The clients of the configuration, as they are written there: whatever stands under `clients`. */

/** Settings whose clients are completed like those that commands give. */
export function withCompleteClients(settings: unknown): unknown {
  if (typeof settings !== 'object' || settings === null) return settings
  if (!('clients' in settings) || !Array.isArray(settings.clients)) return settings
  const clients = settings.clients.map((client: unknown) => {
    const metadata = withoutEmpty(client)
    const isMap = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
    // A map of YAML has text for names.
    return isMap ? withResponseTypes(metadata as Readonly<Record<string, unknown>>) : metadata
  })
  return { ...settings, clients }
}

/** Every rule that one of them breaks, or all of them together. What is malformed the schema tells. */
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

/** With the name of the setting, in what mends it too. */
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
