/** Most texts that are kept, of about a kilobyte each. */
const MOST = 2000

/**
 * The newest texts that passed their check, each with the form in which it is stored. A sign-in
 * reads its session and its interaction many times between two changes, and APIs ask about the same
 * token with each of their requests, so checking every time would make each slower.
 */
export interface KnownTexts {
  /**
   * @param name place where the text is stored
   * @param stored the text as it is stored, with its proof
   */
  add(name: string, stored: string, text: string): void
  /** The text; undefined unless exactly this form is known under this name. */
  find(name: string, stored: string): string | undefined
}

export function createKnownTexts(): KnownTexts {
  const texts = new Map<string, { readonly stored: string; readonly text: string }>()
  return {
    add: (name, stored, text) => {
      // The newest text is the last of the map, and the first is removed.
      texts.delete(name)
      texts.set(name, { stored, text })
      if (texts.size <= MOST) return
      const [oldest] = texts.keys()
      if (oldest !== undefined) texts.delete(oldest)
    },
    find: (name, stored) => {
      const known = texts.get(name)
      return known?.stored === stored ? known.text : undefined
    },
  }
}
