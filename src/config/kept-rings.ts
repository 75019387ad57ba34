import { brokenPolicy, wholePolicy } from '../data-protection/plan.ts'
import type { Violation } from '../errors.ts'
import type { KeptRingSettings, Settings } from './schema.ts'

/**
 * Rules of `dataProtection.rings`: each ring is at one place that no other has, has a name of its own, and
 * a policy by which keys are made in time. Pure.
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

/** Secrets that stand in clear, so that whoever reads the ring can sign in as anybody. */
export function clearRings({ dataProtection: { rings } }: Settings): readonly string[] {
  return rings.flatMap(({ name, certificates }) =>
    certificates.length > 0
      ? []
      : [
          `Secrets of new keys of the ring data-protection/${name} stand in clear where the ring is kept. ` +
            'To encrypt them, name a certificate in its certificates, and in UnprotectKeysWithAnyCertificate ' +
            'of its applications first.',
        ],
  )
}

const PLACES = ['directory', 'redis', 'database'] as const

function brokenPlace(ring: KeptRingSettings, path: string): readonly Violation[] {
  const told = PLACES.filter((place) => ring[place] !== undefined)
  const strays = ([['list', 'redis'] as const, ['table', 'database'] as const] as const).flatMap(
    ([name, place]) =>
      ring[name] === undefined || ring[place] !== undefined
        ? []
        : [
            violation(`${path}.${name}`, 'data-protection-place', {
              message: `it says where in ${place} the ring is, and ${place} is not set`,
              fix: `remove ${path}.${name}, or set ${path}.${place}`,
            }),
          ],
  )
  if (told.length === 1) return strays
  const message =
    told.length === 0
      ? 'it does not say where the ring is'
      : `it says of several places that the ring is there: ${told.join(', ')}`
  const fix = `set exactly one of directory, redis and database in ${path}`
  return [violation(path, 'data-protection-place', { message, fix }), ...strays]
}

/** One ring with two policies would have keys by both. */
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
            message: `another ring is called ${ring.name} too`,
            fix: `give ${path} another name`,
          }),
        ]
      : []),
    ...(place !== undefined && before.some((other) => placeOf(other) === place)
      ? [
          violation(path, 'repeated', {
            message: 'another ring is at the same place, and one ring is kept by one policy',
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

/** Values are not shown: a URL may hold a password. */
function violation(
  path: string,
  rule: string,
  words: Pick<Violation, 'message' | 'fix'>,
): Violation {
  return { path, value: null, rule, ...words }
}
