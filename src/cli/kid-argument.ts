import { type Command, InvalidArgumentError, type Option } from 'commander'

/** Arguments that name a key by its kid or the beginning of it, as `keys plan` shows it. */

/** Help for every argument that names a key. */
export const KID_HELP = 'a kid, or a beginning of it that no other key has'

/** Parses a kid or its beginning for commander; dots at its end may be its own (`findKid`). */
export function kidArgument(text: string): string {
  const kid = text.replace(/(\.{3}|…)$/, '')
  if (/^[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*$/u.test(kid)) return text
  throw new InvalidArgumentError('It must be a kid or the beginning of one.')
}

/**
 * Moves kids that begin with a dash behind `--`, so that they are not taken for options. One kid in
 * 64 begins with a dash, and the command of an emergency must take every kid, whole or shortened.
 * Names of options, and values behind options that need one, are not moved.
 */
export function withKidsLast(argv: readonly string[], program: Command): readonly string[] {
  if (argv.includes('--')) return argv
  const options = [program, ...program.commands.flatMap((group) => [group, ...group.commands])]
    .flatMap((command) => command.options)
    .map(({ short, long, required, variadic }: Option) => {
      return { names: [short, long], takesNext: required || variadic }
    })
  const isValue = (index: number) => {
    const before = argv[index - 1]
    return options.some(({ names, takesNext }) => takesNext && names.includes(before))
  }
  const namesKey = argv.some((word) => word === 'keys')
  const isDashedKid = (argument: string, index: number) =>
    namesKey &&
    !isValue(index) &&
    !options.some(({ names }) => names.includes(argument)) &&
    looksLikeKid(argument)
  const kids = argv.filter(isDashedKid)
  return kids.length === 0 ? argv : [...argv.filter((a, i) => !isDashedKid(a, i)), '--', ...kids]
}

/** True for a dashed kid, 43 characters of base64url (RFC 7638), or a beginning of one. */
function looksLikeKid(argument: string): boolean {
  const kid = argument.replace(/(\.{3}|…)$/, '')
  if (/^-[\w-]{42}$/.test(kid)) return true
  return /^-[\w-]{3,41}$/.test(kid) && !/^--[a-z-]+$/.test(kid)
}
