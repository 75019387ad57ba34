import { z } from 'zod'
import { allOf } from './all-of.ts'
import { refusal } from './refusal.ts'

/** Key providers of a realm, from any export of Keycloak. */

export interface KeyProvider {
  readonly id: string
  readonly name: string
  /** Keycloak's `providerId`, such as `rsa-generated`. */
  readonly kind: string
  readonly config: Readonly<Record<string, string>>
  readonly priority: number
  /** True if the key may sign; otherwise it is only published. */
  readonly active: boolean
  /** True if the key is published at all. */
  readonly enabled: boolean
}

const KEY_PROVIDER = 'org.keycloak.keys.KeyProvider'
const PROVIDERS_MAX = 1000
const SETTINGS_MAX = 1000
/** Keeps only what is read, and does not look through objects that may have very many members. */
const Component = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  providerId: z.string(),
  providerType: z.string().optional(),
  // The first value of each setting counts, if it is text.
  config: z.unknown(),
})
const Realm = z.object({
  realm: z.string(),
  components: z.unknown(),
})
/** Row of the tables component and component_config, joined. */
const ConfigRow = z.object({
  id: z.string(),
  name: z.string(),
  provider_id: z.string(),
  key: z.string(),
  value: z.string().nullable(),
  provider_type: z.string().optional(),
  realm_id: z.string().optional(),
})

/**
 * Finds the providers in a realm export, in a list of realms or components, or in rows.
 * @throws ImportRefused `input_malformed`, `realm_unknown` if the realm is missing or must be named
 */
export function componentsOf(
  value: unknown,
  { name, realm }: { readonly name: string; readonly realm?: string | undefined },
): readonly KeyProvider[] {
  const list = Array.isArray(value) ? value : [value]
  const rows = allOf(ConfigRow, list)
  if (rows) return bounded(ofRows(keyRows(rows, { name, realm })), name)
  const realms = allOf(Realm, list)
  if (realms) {
    const { [KEY_PROVIDER]: found } = membersOf(chosenRealm(realms, realm, name).components)
    const components: readonly unknown[] = Array.isArray(found) ? found : []
    return bounded(
      components.map((one, at) => provider(one, at, name)),
      name,
    )
  }
  const components = allOf(Component, list)
  if (!components) {
    throw refusal(
      'input_malformed',
      `${name} is neither an export of a realm nor a list of its components.`,
    )
  }
  const keys = components.filter(({ providerType }) => providerType === KEY_PROVIDER)
  return bounded(
    keys.map((one, at) => provider(one, at, name)),
    name,
  )
}

/** Rows of key providers, which must be those of one realm if the rows tell. */
function keyRows(
  rows: readonly z.infer<typeof ConfigRow>[],
  { name, realm }: { readonly name: string; readonly realm?: string | undefined },
) {
  const keys = rows.filter(({ provider_type: type = KEY_PROVIDER }) => type === KEY_PROVIDER)
  const realms = [...new Set(keys.flatMap(({ realm_id }) => realm_id ?? []))]
  if (realms.length === 0) return keys
  if (realm !== undefined ? !realms.includes(realm) : realms.length > 1)
    throw realmUnknown(realms, name)
  return keys.filter(({ realm_id }) => realm === undefined || realm_id === realm)
}

function chosenRealm(
  realms: readonly z.infer<typeof Realm>[],
  wanted: string | undefined,
  name: string,
) {
  const found = realms.filter(({ realm }) => wanted === undefined || realm === wanted)
  const [one, ...others] = found
  if (one && others.length === 0) return one
  throw realmUnknown(
    realms.map(({ realm }) => realm),
    name,
  )
}

function realmUnknown(realms: readonly string[], name: string) {
  const names = realms.slice(0, 20).map((realm) => JSON.stringify(realm.slice(0, 100)))
  return refusal('realm_unknown', `${name} has the realms ${names.join(', ')}. Name one of them.`)
}

function provider(value: unknown, at: number, name: string): KeyProvider {
  const parsed = Component.safeParse(value)
  if (!parsed.success)
    throw refusal('input_malformed', `${name} has a key provider that cannot be read.`)
  const { id = '', name: own, providerId } = parsed.data
  const config = membersOf(parsed.data.config)
  if (Object.keys(config).length > SETTINGS_MAX)
    throw refusal('input_too_large', `${name} has a key provider of too many settings.`)
  const single = Object.entries(config).flatMap(([key, values]) => {
    const first: unknown = Array.isArray(values) ? values[0] : undefined
    return typeof first === 'string' && first !== '' ? [[key, first]] : []
  })
  return withDefaults(id, own ?? `provider ${at + 1}`, providerId, Object.fromEntries(single))
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  // Members of an array have numbers for names, which no setting has.
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function ofRows(rows: readonly z.infer<typeof ConfigRow>[]): readonly KeyProvider[] {
  return [...Map.groupBy(rows, ({ id }) => id)].flatMap(([id, own]) => {
    const [first] = own
    if (!first) return []
    const config = own.flatMap(({ key, value }) => (value === null ? [] : [[key, value]]))
    return [withDefaults(id, first.name, first.provider_id, Object.fromEntries(config))]
  })
}

/** Completes a provider with Keycloak's defaults. */
function withDefaults(
  id: string,
  name: string,
  kind: string,
  config: Record<string, string>,
): KeyProvider {
  const priority = Number(config.priority ?? 0)
  return {
    id,
    name,
    kind,
    config,
    priority: Number.isFinite(priority) ? priority : 0,
    active: config.active !== 'false',
    enabled: config.enabled !== 'false',
  }
}

function bounded(providers: readonly KeyProvider[], name: string): readonly KeyProvider[] {
  if (providers.length === 0) throw refusal('no_keys', `${name} has no key providers.`)
  if (providers.length <= PROVIDERS_MAX) return providers
  throw refusal('input_too_large', `${name} has more than ${PROVIDERS_MAX} key providers.`)
}
