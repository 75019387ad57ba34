/** Texts in each half of the memory; a text has about a kilobyte. */
const HALF = 1000

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

interface KnownText {
  readonly stored: string
  readonly text: string
}

export function createKnownTexts(): KnownTexts {
  // The older half is dropped as a whole, because removing one text for each new one costs more
  // than adding it.
  let newer = new Map<string, KnownText>()
  let older = newer
  return {
    add: (name, stored, text) => {
      if (newer.size >= HALF) {
        older = newer
        newer = new Map()
      }
      newer.set(name, { stored, text })
    },
    find: (name, stored) => {
      const known = newer.get(name) ?? older.get(name)
      return known?.stored === stored ? known.text : undefined
    },
  }
}
