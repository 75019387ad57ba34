import { Refused } from '../errors.ts'
import type { RingStore, StoredElement } from './ring-store.ts'

/**
 * An element that the caller has read: its XML, or null for an empty row. Given elements are only
 * read.
 */
export type GivenElement = string | null | { readonly source: string; readonly text: string | null }

const BYTE_ORDER_MARK = '\ufeff'

export function openElementStore(elements: readonly GivenElement[]): RingStore {
  const stored = elements.map((element, i) =>
    typeof element === 'object' && element !== null
      ? storedText(element.source, element.text)
      : storedText(`element ${i + 1}`, element),
  )
  return {
    where: 'the elements given',
    read: async () => ({ elements: stored, version: String(stored.length) }),
    append: async () => {
      throw new Refused(
        'elements_given',
        {},
        'Elements that were given cannot be added to. Open the store that they came from.',
      )
    },
    close: async () => {},
  }
}

/**
 * Makes an element from a store of texts. Such a text must have no byte-order mark, and an empty
 * text is ignored.
 */
export function storedText(source: string, text: string | null | undefined): StoredElement {
  if (!text) return { source, content: undefined }
  const hasStrayMark = text.startsWith(BYTE_ORDER_MARK)
  return { source, content: { text: hasStrayMark ? text.slice(1) : text, hasStrayMark } }
}
