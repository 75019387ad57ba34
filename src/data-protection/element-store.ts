import { Refused } from '../errors.ts'
import type { RingStore, StoredElement } from './ring-store.ts'

/** Elements that somebody else read: the XML of each, or null for an empty row. They are read only. */
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

/** An element of a store of texts, in which a byte-order mark must not be, and what is empty is passed over. */
export function storedText(source: string, text: string | null | undefined): StoredElement {
  if (!text) return { source, content: undefined }
  const hasStrayMark = text.startsWith(BYTE_ORDER_MARK)
  return { source, content: { text: hasStrayMark ? text.slice(1) : text, hasStrayMark } }
}
