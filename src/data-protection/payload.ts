import { PayloadRefused } from './errors.ts'
import { GUID_BYTES, guidBytes, guidOfBytes } from './guid.ts'

/**
 * Header of a payload, before its encrypted part, and the purposes to which the payload is bound.
 */

/** Magic header. Its last four bits are the version of the format: 0. */
const MAGIC = Buffer.from('09f0c9f0', 'hex')

export const HEADER_BYTES = MAGIC.length + GUID_BYTES

/** Makes the header of payloads under a key. */
export function payloadHeader(keyId: string): Buffer {
  return Buffer.concat([MAGIC, guidBytes(keyId)])
}

/**
 * Reads the id of the key in a header.
 * @throws PayloadRefused `payload_foreign`, `payload_version`
 */
export function readPayloadHeader(payload: Uint8Array): string {
  const isLongEnough = payload.length >= HEADER_BYTES
  const isOurs = MAGIC.every((byte, i) => ((payload[i] ?? 0) & (i === 3 ? 0xf0 : 0xff)) === byte)
  if (!isLongEnough || !isOurs) {
    throw new PayloadRefused(
      'payload_foreign',
      'The payload was not made by ASP.NET Core Data Protection, or its beginning is lost: ' +
        'look whether it was decoded from base64 (and percent-decoded) before.',
    )
  }
  const version = (payload[MAGIC.length - 1] ?? 0) & 0x0f
  if (version !== 0) {
    throw new PayloadRefused(
      'payload_version',
      `The payload has version ${version} of the format, and only version 0 is known.`,
    )
  }
  return guidOfBytes(payload.subarray(MAGIC.length, HEADER_BYTES))
}

/** Encodes purposes: their number, then each in UTF-8 after its length in groups of seven bits. */
export function encodePurposes(purposes: readonly string[]): Buffer {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(purposes.length)
  const parts = purposes.flatMap((purpose) => {
    if (!purpose.isWellFormed())
      throw new TypeError('A purpose has a lone surrogate, which UTF-8 cannot hold')
    const bytes = Buffer.from(purpose)
    return [sevenBitGroups(bytes.length), bytes]
  })
  return Buffer.concat([count, ...parts])
}

function sevenBitGroups(length: number): Buffer {
  const groups: number[] = []
  let rest = length
  while (rest > 0x7f) {
    groups.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Buffer.from([...groups, rest])
}
