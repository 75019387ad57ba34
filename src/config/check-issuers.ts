import { brokenConfiguredClients, withCompleteClients } from '../clients/configured.ts'
import type { Violation } from '../errors.ts'
import { childValue, isMap } from '../schema/tree.ts'
import { brokenBounds } from './bounds.ts'
import { checkSettings, type KnownSettings } from './check.ts'
import { clientContext } from './client-context.ts'
import { brokenEntries, brokenIssuerUrls, hasValueAt, ISSUERS, ownSettings } from './issuers.ts'
import { lay } from './layer.ts'
import { brokenLogo } from './logo.ts'
import type { Settings } from './schema.ts'

/** Checks the merged settings, with `issuers` if present, against the schema and all rules. */

export interface CheckedConfig {
  /** Settings that apply to all issuers; undefined if they cannot be determined. */
  readonly settings: Settings | undefined
  /** Settings of each issuer. */
  readonly issuers: readonly Settings[]
  readonly violations: readonly Violation[]
}

export interface CheckOptions extends KnownSettings {
  /** True if `issuer` is set, beyond its default. */
  readonly hasIssuer: boolean
  /** False if a file could not be read, because rules between defaults would only confuse. */
  readonly isReadable: boolean
}

interface Checked {
  readonly settings: Settings | undefined
  readonly violations: readonly Violation[]
}

/** @param value merged from all sources */
export function checkIssuers(value: unknown, options: CheckOptions): CheckedConfig {
  const list = childValue(value, ISSUERS)
  if (list === undefined || list === null) {
    const { settings, violations } = checkOne(withoutIssuers(value), options)
    return { settings, violations, issuers: settings ? [settings] : [] }
  }
  const broken = brokenEntries(list, options)
  const entries = (Array.isArray(list) ? list : []).filter(isMap).map(ownSettings)
  const shared = withoutIssuers(value)
  const base = checkSettings(withCompleteClients(shared), options)
  const own = entries.map((entry) => checkOne(lay(shared, entry), options))
  const issuers = own.flatMap(({ settings }) => settings ?? [])
  return {
    settings: base.settings,
    issuers,
    violations: [
      ...broken,
      ...entries.flatMap(missingIssuer),
      ...base.violations,
      ...ofIssuers(entries, own, base.violations),
      ...brokenIssuerUrls(entries.map((entry) => childValue(entry, 'issuer'))),
    ],
  }
}

/** Checks one issuer's settings against the schema and every rule. */
function checkOne(written: unknown, options: CheckOptions): Checked {
  const value = withCompleteClients(written)
  const { settings, violations: misfits } = checkSettings(value, options)
  if (!settings || !options.isReadable) return { settings, violations: misfits }
  const wrong = new Set(misfits.map(({ path }) => path))
  const bounds = [
    ...brokenBounds(settings),
    ...brokenLogo(settings),
    ...brokenConfiguredClients(value, clientContext(settings)),
  ]
  return { settings, violations: [...misfits, ...bounds.filter(({ path }) => !wrong.has(path))] }
}

/**
 * Violations of all entries, each with the path of its entry. A violation of a setting that all
 * issuers inherit from the top level is reported once, with its path there.
 */
function ofIssuers(
  entries: readonly unknown[],
  own: readonly Checked[],
  known: readonly Violation[],
): readonly Violation[] {
  const name = ({ path, message }: Violation) => `${path} ${message}`
  const reported = new Set(known.map(name))
  const isOfAll = (violation: Violation) =>
    own.every(({ violations }) => violations.some((each) => name(each) === name(violation))) &&
    !entries.some((entry) => hasValueAt(entry, violation.path))
  return own.flatMap(({ violations }, index) =>
    violations
      .filter((violation) => !reported.has(name(violation)))
      .map((violation) => {
        if (!isOfAll(violation)) return inEntry(violation, index, entries[index])
        reported.add(name(violation))
        return violation
      }),
  )
}

function inEntry(violation: Violation, index: number, entry: unknown): Violation {
  const path = `${ISSUERS}.${index}.${violation.path}`
  const message = `${violation.message} (issuer ${String(childValue(entry, 'issuer'))})`
  return { ...violation, path, message }
}

function missingIssuer(entry: unknown, index: number): readonly Violation[] {
  if (childValue(entry, 'issuer') !== undefined) return []
  const path = `${ISSUERS}.${index}.issuer`
  const message = 'it is missing, but each entry needs its own issuer'
  const fix = `set ${path} to an https URL`
  return [{ path, value: null, rule: 'type', message, fix }]
}

function withoutIssuers(value: unknown): unknown {
  if (!isMap(value)) return value
  const { [ISSUERS]: _, ...rest } = value
  return rest
}
