import type { Random } from './random.ts'

/** Changes the structure of JSON: values are swapped, deleted, nested, renamed or replaced. */

type Json = string | number | boolean | null | Json[] | { [member: string]: Json }

/** A value and where it is: in a member of an object, or at a place of an array. */
interface Place {
  readonly parent: Json[] | { [member: string]: Json }
  readonly key: string | number
}

/** Stands for text that `JSON.stringify` would not write. */
const RAW = '\u{1f5dd}raw'
const ODD: readonly Json[] = [
  ...[null, true, false, 0, -1, 0.5, 1e308, 2 ** 53 + 1, '', ' ', '\0', '__proto__', 'constructor'],
  ...[
    'RS256',
    'ES512',
    'none',
    'HS256',
    'oct',
    'EC',
    'RSA',
    'P-256',
    'secp256k1',
    'enc',
    'sig',
    '*',
  ],
  ...[
    'AQAB',
    'Aw',
    'AA',
    '=',
    '9999-12-31T23:59:59.9999999Z',
    '2026-02-30T00:00:00Z',
    '0001-01-01',
  ],
  ...[
    '2026-03-02T07:15:32.2681916+14:00',
    '-----BEGIN PRIVATE KEY-----',
    'CfDJ8AAAA',
    '\u202e',
    '鍵',
  ],
  ...['k'.repeat(255), 'k'.repeat(256), '9'.repeat(400), 'A'.repeat(20_000), '🚢'.repeat(255)],
]
const EMPTY = [
  '[]',
  '{}',
  '1e400',
  '-0',
  '9'.repeat(500),
  '[[[[[[[[[[]]]]]]]]]]',
  '{"__proto__":{"kid":"x"}}',
]
const DEEP = [
  '['.repeat(99) + ']'.repeat(99),
  '['.repeat(5000) + ']'.repeat(5000),
  `${'{"a":'.repeat(90)}1${'}'.repeat(90)}`,
]
const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'kid',
  'keys',
  'kty',
  'alg',
  'd',
  'x5c',
  '',
  'Data',
  'ID',
]

/**
 * @param text JSON
 * @param inner mutates what stands in a text: JSON, base64, PEM
 * @returns undefined for text that is no JSON, or that is nested too deeply to be written again
 */
export function mutateJson(
  text: string,
  inner: (text: string) => string,
  random: Random,
): string | undefined {
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    return undefined
  }
  // So that the whole has a place, too.
  const root: Json[] = [value]
  const raws: string[] = []
  for (let change = random.below(3); change >= 0; change--) {
    const places = placesIn(root)
    const place = random.pick(places)
    changeAt(place, random.pick(places), { inner, random, raws })
  }
  let written: string
  try {
    written = JSON.stringify(root[0]) ?? 'null'
  } catch {
    return undefined
  }
  for (const raw of raws) written = written.replace(JSON.stringify(RAW), () => raw)
  return written
}

function changeAt(
  { parent, key }: Place,
  other: Place,
  { inner, random, raws }: { inner: (text: string) => string; random: Random; raws: string[] },
): void {
  const value = get(parent, key)
  const kind = random.below(9)
  if (kind === 0) remove(parent, key)
  else if (kind === 1) rename(parent, key, random)
  else if (kind === 2) {
    raws.push(random.pick(random.oneIn(4) ? DEEP : EMPTY))
    set(parent, key, RAW)
  } else if (kind === 3) set(parent, key, structuredClone(get(other.parent, other.key)))
  else if (kind === 4) {
    set(parent, key, random.pick([[value], [value, value], { keys: [value] }, { key: value }]))
  } else if (kind < 7 || typeof value !== 'string') set(parent, key, random.pick(ODD))
  else set(parent, key, inner(value))
}

/** A member gets another name, and a value of an array stands in it twice. */
function rename(
  parent: Json[] | { [member: string]: Json },
  key: string | number,
  random: Random,
): void {
  const value = get(parent, key)
  if (Array.isArray(parent)) parent.push(value)
  else {
    remove(parent, key)
    set(parent, random.pick([...NAMES, String(key).toLowerCase(), `${key}x`]), value)
  }
}

function placesIn(parent: Json[] | { [member: string]: Json }): Place[] {
  const places: Place[] = []
  const keys = Array.isArray(parent) ? parent.keys() : Object.keys(parent)
  for (const key of keys) {
    places.push({ parent, key })
    const value = get(parent, key)
    if (typeof value === 'object' && value !== null) places.push(...placesIn(value))
  }
  return places.length > 0 ? places : [{ parent, key: Array.isArray(parent) ? 0 : 'a' }]
}

function get(parent: Json[] | { [member: string]: Json }, key: string | number): Json {
  return (parent as { [member: string]: Json })[key] ?? null
}

/** As a member of its own, even where its name is `__proto__`. */
function set(parent: Json[] | { [member: string]: Json }, key: string | number, value: Json): void {
  Object.defineProperty(parent, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  })
}

function remove(parent: Json[] | { [member: string]: Json }, key: string | number): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
}
