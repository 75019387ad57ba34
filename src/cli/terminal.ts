/** Characters that steer a terminal or turn its lines around; the C1 set is one byte in some of them. */
const STEERING = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu

/** What `table` writes bold begins and ends with one of these. */
const BOLD = ['\u001b[1m', '\u001b[22m']

/** What people, clients and whoever writes the database call things, on one line. */
export function plainCell(text: string): string {
  return text.replace(STEERING, '?')
}

/**
 * A text for a terminal. Names come from the database, and whoever writes it must not be able to hide or
 * change what an operator is told.
 */
export function plainText(text: string): string {
  return text.replace(STEERING, (found, at: number) => {
    const isOurs =
      found === '\n' || found === '\t' || BOLD.some((code) => text.startsWith(code, at))
    return isOurs ? found : '?'
  })
}

/** The same JSON, with such characters escaped: `JSON.stringify` escapes only some of them. */
export function plainJson(json: string): string {
  const escaped = (found: string) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
  return json.replace(STEERING, (found) => (found === '\n' ? found : escaped(found)))
}
