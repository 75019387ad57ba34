/**
 * Quotes a name for a command that a message proposes, because people copy such commands and an
 * attacker may have chosen the name.
 * @example shellWord('a; reboot') // "'a; reboot'"
 */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./][\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
