import type { Random } from './random.ts'

/** Changes the structure of ASN.1 in DER, so that readers are led beyond its first length. */

/** A value in it: where its tag, its content and its end are. */
interface Place {
  readonly start: number
  readonly content: number
  readonly end: number
}

const DEPTH_MAX = 12
/** Contents that leave the structure as it is: numbers that are none, zero, negative or huge. */
const CONTENTS = [
  ...['', '00', '01', 'ff', '80', '7fffffff', '00'.repeat(200), 'ff'.repeat(300)],
  ...['3000', '300030003000', '0500', '06092a864886f70d010c0103', '06082a8648ce3d030107'],
].map((hex) => Buffer.from(hex, 'hex'))
/** Lengths that promise more than there is, or have no end. */
const LENGTHS = [
  '80',
  '84ffffffff',
  '8400000000',
  '88ffffffffffffffff',
  '81ff',
  '00',
  '7f',
  'ff',
].map((hex) => Buffer.from(hex, 'hex'))

/** Changes one value in it. */
export function mutateDer(der: Buffer, random: Random): Buffer {
  const places = placesIn(der, 0, der.length, 0)
  if (places.length === 0) return der
  const { start, content, end } = random.pick(places)
  const whole = der.subarray(start, end)
  const other = random.pick(places)
  switch (random.below(8)) {
    case 0:
      return replaced(der, places, { start, end, with: Buffer.alloc(0) })
    case 1:
      return replaced(der, places, { start, end, with: Buffer.concat([whole, whole]) })
    case 2:
      return replaced(der, places, { start: content, end, with: random.pick(CONTENTS) })
    case 3:
      return replaced(der, places, { start, end, with: der.subarray(other.start, other.end) })
    case 4: {
      const nested = deep(whole, random.pick([1, 3, 40, 300]))
      return replaced(der, places, { start, end, with: nested })
    }
    case 5: {
      const changed = Buffer.from(der)
      changed[start] = random.below(256)
      return changed
    }
    case 6:
      return Buffer.concat([
        der.subarray(0, start + 1),
        random.pick(LENGTHS),
        der.subarray(content),
      ])
    default: {
      const changed = Buffer.from(der)
      const at = content + random.below(Math.max(1, end - content))
      if (at < changed.length) changed[at] = random.below(256)
      return changed
    }
  }
}

function deep(value: Buffer, times: number): Buffer {
  let result = value
  for (let time = 0; time < times; time++) {
    result = Buffer.concat([Buffer.from([0x30]), lengthOf(result.length), result])
  }
  return result
}

/** Replaces a piece, and writes the lengths around it anew, from the inside out. */
function replaced(
  der: Buffer,
  places: readonly Place[],
  {
    start,
    end,
    with: piece,
  }: { readonly start: number; readonly end: number; readonly with: Buffer },
): Buffer {
  let [from, until, value] = [start, end, piece]
  const around = places
    .filter((place) => place.content <= start && place.end >= end && place.start < start)
    .toReversed()
  for (const place of around) {
    const content = Buffer.concat([
      der.subarray(place.content, from),
      value,
      der.subarray(until, place.end),
    ])
    const tag = der.subarray(place.start, place.start + 1)
    value = Buffer.concat([tag, lengthOf(content.length), content])
    ;[from, until] = [place.start, place.end]
  }
  return Buffer.concat([der.subarray(0, from), value, der.subarray(until)])
}

/** All values, the outer ones first; those inside of an octet string are among them. */
function placesIn(der: Buffer, from: number, until: number, depth: number): readonly Place[] {
  const places: Place[] = []
  for (let at = from; at + 2 <= until; ) {
    const place = placeAt(der, at, until)
    if (!place) return places
    places.push(place)
    const tag = der[at] ?? 0
    if (depth < DEPTH_MAX && (tag & 0x20 || tag === 0x04)) {
      places.push(...placesIn(der, place.content, place.end, depth + 1))
    }
    at = place.end
  }
  return places
}

function placeAt(der: Buffer, at: number, until: number): Place | undefined {
  const first = der[at + 1] ?? 0
  const bytes = first < 0x80 ? 0 : first & 0x7f
  if (first >= 0x80 && (bytes === 0 || bytes > 4)) return undefined
  const content = at + 2 + bytes
  if (content > until) return undefined
  const length = bytes === 0 ? first : der.readUIntBE(at + 2, bytes)
  return content + length > until ? undefined : { start: at, content, end: content + length }
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const hex = length.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes])
}
