/** Control characters (C0 and C1), and characters that reverse the direction of text. */
export const STEERING = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu

/** Text from outside, such as a name, made safe for one line of a terminal. */
export function plainCell(text: string): string {
  return text.replace(STEERING, '?')
}

/** Text of several lines as one. */
export function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ')
}
