import { type Command, InvalidArgumentError, type Option } from 'commander'

/** How people name a key: by its kid, or by the beginning of one, as `keys plan` shows it. */

/** Shown with every argument that names a key. */
export const KID_HELP = 'a kid, or as much of its beginning as no other key shares'

/** For commander: a kid or its beginning; the dots behind a shortened one are cut. */
export function kidArgument(text: string): string {
  const kid = text.replace(/(\.{3}|…)$/, '')
  if (/^[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*$/u.test(kid)) return kid
  throw new InvalidArgumentError('It must be a kid or the beginning of one.')
}

/**
 * One kid in 64 begins with a dash. Behind `--` it is not taken for an option, so that the one
 * command of an emergency takes any of them, whole or shortened. An option is told by its name, and
 * what follows an option that wants a value is that value.
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

/** A whole kid is 43 characters of base64url (RFC 7638 with SHA-256); a misspelt option is none. */
function looksLikeKid(argument: string): boolean {
  const kid = argument.replace(/(\.{3}|…)$/, '')
  if (/^-[\w-]{42}$/.test(kid)) return true
  return /^-[\w-]{3,41}$/.test(kid) && !/^--[a-z-]+$/.test(kid)
}
