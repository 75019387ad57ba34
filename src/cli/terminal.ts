import { STEERING } from '../values/steering.ts'

/** Escape sequences with which `table` begins and ends bold text. */
const BOLD = ['\u001b[1m', '\u001b[22m']

/**
 * Text made safe for a terminal. Names come from the database, and whoever writes to the database
 * must not be able to hide or change output for operators.
 */
export function plainText(text: string): string {
  return text.replace(STEERING, (found, at: number) => {
    const isOurs =
      found === '\n' || found === '\t' || BOLD.some((code) => text.startsWith(code, at))
    return isOurs ? found : '?'
  })
}

/** JSON made safe for a terminal, because `JSON.stringify` escapes only some control characters. */
export function plainJson(json: string): string {
  const escaped = (found: string) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
  return json.replace(STEERING, (found) => (found === '\n' ? found : escaped(found)))
}
