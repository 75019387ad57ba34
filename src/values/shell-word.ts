/**
 * A name as a part of a command that a message proposes: quoted where a shell would take it apart, because
 * people copy such commands, and others may have written the name.
 * @example shellWord('a; reboot') // "'a; reboot'"
 */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./][\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
