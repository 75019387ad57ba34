import { PayloadRefused } from './errors.ts'
import { GUID_BYTES, guidBytes, guidOfBytes } from './guid.ts'

/** What stands before the encrypted part of a payload, and what it is bound to. */

/** The last four bits are the version of the format: 0. */
const MAGIC = Buffer.from('09f0c9f0', 'hex')

export const HEADER_BYTES = MAGIC.length + GUID_BYTES

/** Header of payloads under a key. */
export function payloadHeader(keyId: string): Buffer {
  return Buffer.concat([MAGIC, guidBytes(keyId)])
}

/** @throws PayloadRefused `payload_foreign`, `payload_version` @returns the id of the key */
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

/** Number of purposes, then each as UTF-8 behind its length in groups of seven bits. */
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
