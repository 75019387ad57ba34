import { brokenPolicy, wholePolicy } from '../data-protection/plan.ts'
import type { Violation } from '../errors.ts'
import type { KeptRingSettings, Settings } from './schema.ts'

/**
 * Rules of `dataProtection.rings`: each ring has a place and a name that no other ring has, and a
 * policy that makes keys in time. Pure.
 */

export function brokenKeptRings({ dataProtection: { rings } }: Settings): readonly Violation[] {
  return rings.flatMap((ring, index) => {
    const path = `dataProtection.rings.${index}`
    const before = rings.slice(0, index)
    return [
      ...brokenPlace(ring, path),
      ...repeated(ring, before, path),
      ...brokenPasswords(ring, path),
      ...brokenPolicy(wholePolicy(ring)).map(({ setting, expected, message }) =>
        violation(`${path}.${setting}`, 'data-protection-policy', {
          message,
          fix: `set ${path}.${setting} to ${expected}`,
        }),
      ),
    ]
  })
}

/**
 * Warnings of rings with unencrypted secrets, because anybody who reads such a ring can sign in as
 * any user.
 */
export function unencryptedRings({ dataProtection: { rings } }: Settings): readonly string[] {
  return rings.flatMap(({ name, certificates }) =>
    certificates.length > 0
      ? []
      : [
          `The ring data-protection/${name} stores secrets of new keys unencrypted. To encrypt them, ` +
            'add a certificate to UnprotectKeysWithAnyCertificate of its applications first, and then to ' +
            'the certificates of the ring.',
        ],
  )
}

const PLACES = ['directory', 'redis', 'database'] as const

function brokenPlace(ring: KeptRingSettings, path: string): readonly Violation[] {
  const places = PLACES.filter((place) => ring[place] !== undefined)
  const strays = ([['list', 'redis'] as const, ['table', 'database'] as const] as const).flatMap(
    ([name, place]) =>
      ring[name] === undefined || ring[place] !== undefined
        ? []
        : [
            violation(`${path}.${name}`, 'data-protection-place', {
              message: `it belongs to ${place}, which is not set`,
              fix: `remove ${path}.${name}, or set ${path}.${place}`,
            }),
          ],
  )
  if (places.length === 1) return strays
  const message =
    places.length === 0
      ? 'it has no place for the ring'
      : `it has several places for the ring: ${places.join(', ')}`
  const fix = `set exactly one of directory, redis and database in ${path}`
  return [violation(path, 'data-protection-place', { message, fix }), ...strays]
}

/** A ring with two policies would get keys by both. */
function repeated(
  ring: KeptRingSettings,
  before: readonly KeptRingSettings[],
  path: string,
): readonly Violation[] {
  const place = placeOf(ring)
  return [
    ...(before.some(({ name }) => name === ring.name)
      ? [
          violation(`${path}.name`, 'repeated', {
            message: `another ring has the same name, ${ring.name}`,
            fix: `give ${path} another name`,
          }),
        ]
      : []),
    ...(place !== undefined && before.some((other) => placeOf(other) === place)
      ? [
          violation(path, 'repeated', {
            message: 'another entry has the same place, but a ring can have one policy only',
            fix: `remove ${path}`,
          }),
        ]
      : []),
  ]
}

function placeOf({
  directory,
  redis,
  list,
  database,
  table,
}: KeptRingSettings): string | undefined {
  if (directory !== undefined) return `directory ${directory.replace(/\/+$/, '')}`
  if (redis !== undefined) return `redis ${redis} ${list ?? ''}`
  return database === undefined ? undefined : `database ${database} ${table ?? ''}`
}

function brokenPasswords({ certificates }: KeptRingSettings, path: string): readonly Violation[] {
  return certificates.flatMap(({ password, passwordFile }, index) => {
    if (password === undefined || passwordFile === undefined) return []
    const at = `${path}.certificates.${index}`
    const message = 'password and passwordFile are both set, so it is not clear which one is meant'
    const fix = `remove ${at}.password`
    return [violation(at, 'set-twice', { message, fix })]
  })
}

/** A violation without its value, because a URL may contain a password. */
function violation(
  path: string,
  rule: string,
  words: Pick<Violation, 'message' | 'fix'>,
): Violation {
  return { path, value: null, rule, ...words }
}
