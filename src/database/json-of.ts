/** The value of a JSON text; undefined if it is none, as anybody may have written the row. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
