import type { StoredElement } from './ring-store.ts'
import { XML_LENGTH_MAX } from './xml.ts'

/**
 * Bounds of what is read of a ring, because whoever may write to its store must not be able to use
 * up the memory of a server.
 */

/**
 * Most bytes of an element, because UTF-8 takes up to three bytes for a character of JavaScript.
 */
export const ELEMENT_BYTES_MAX = 3 * XML_LENGTH_MAX
/** Most bytes of a whole ring; a thousand keys under certificates have a fifth of them. */
const RING_BYTES_MAX = 32 * 1024 * 1024

/**
 * The largest size in bytes up to which all elements fit into a ring together. Keys are small, and
 * elements that would push them out are not. The size is not that of the largest element found,
 * because a larger one may be added before the elements themselves are read.
 */
export function largestRead(sizes: readonly number[]): number {
  let total = 0
  for (const size of sizes.toSorted((a, b) => a - b)) {
    total += size
    if (size > ELEMENT_BYTES_MAX) break
    if (total > RING_BYTES_MAX) return size - 1
  }
  return ELEMENT_BYTES_MAX
}

/**
 * An element that is not read.
 * @param size bytes
 */
export function tooLarge(source: string, size: number, mayRevoke: boolean): StoredElement {
  const message =
    `It has ${size} bytes. No element of a ring has more than ${ELEMENT_BYTES_MAX}, and all together are read up to ` +
    `${RING_BYTES_MAX}, the smallest first. Remove what is no element.`
  return { source, content: { problem: { code: 'xml_too_large', message }, mayRevoke } }
}
