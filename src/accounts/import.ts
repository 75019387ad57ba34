import { z } from 'zod'
import { Refused } from '../errors.ts'
import type { Account } from './account-store.ts'
import { addAccount, problemsOf, type Surroundings } from './operate.ts'
import { isPasswordHash } from './password.ts'
import { nameKey } from './skeleton.ts'

/** People from elsewhere, each an object of JSON in a line of its own (JSON Lines). */

const person = z.strictObject({
  username: z.string(),
  claims: z.record(z.string(), z.unknown()).default({}),
  /** Argon2id in PHC string format; left out, a password for one sign-in is made. */
  passwordHash: z
    .string()
    .refine(isPasswordHash, 'it must be an Argon2id PHC string ($argon2id$v=19$m=...)')
    .optional(),
  isAdministrator: z.boolean().default(false),
  isDisabled: z.boolean().default(false),
})

export type ImportedPerson = z.output<typeof person>

export interface Imported {
  readonly account: Account
  /** Of a person who came without a password. */
  readonly oneTimePassword?: string
}

/**
 * Reads all people before anybody is added.
 * @throws Refused with all that is wrong, by line
 */
export function readPeople(text: string, claimNames: readonly string[]): readonly ImportedPerson[] {
  const problems: string[] = []
  const lines = new Map<string, number>()
  const people = text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '') return []
    const number = index + 1
    const read = readPerson(line)
    const found = 'person' in read ? problemsOf(read.person, claimNames) : read.problems
    problems.push(...found.map((problem) => `Line ${number}: ${problem}`))
    if (!('person' in read)) return []
    const key = nameKey(read.person.username)
    const before = lines.get(key)
    if (before !== undefined)
      problems.push(`Line ${number}: it has the user name of line ${before}.`)
    lines.set(key, number)
    return [read.person]
  })
  if (problems.length > 0) throw new Refused('import_invalid', { problems }, problems.join('\n'))
  return people
}

/**
 * Adds people, each as soon as the one before is seen to.
 * @yields who was added
 * @throws Refused at the end, with the names that were taken
 */
export async function* importPeople(
  people: readonly ImportedPerson[],
  surroundings: Surroundings,
): AsyncGenerator<Imported, void> {
  const problems: string[] = []
  for (const person of people) {
    try {
      yield await importPerson(person, surroundings)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      problems.push(error.message)
    }
  }
  if (problems.length > 0)
    throw new Refused('import_names_taken', { problems }, problems.join('\n'))
}

/** @throws Refused where the user name is taken */
async function importPerson(
  { passwordHash, isDisabled, ...details }: ImportedPerson,
  surroundings: Surroundings,
): Promise<Imported> {
  if (passwordHash === undefined) return addAccount({ ...details, isDisabled }, surroundings)
  const passwords = { hash: async () => passwordHash }
  const settled = { isDisabled, mustChangePassword: false }
  const { account } = await addAccount({ ...details, ...settled }, { ...surroundings, passwords })
  return { account }
}

function readPerson(
  line: string,
): { readonly person: ImportedPerson } | { readonly problems: readonly string[] } {
  const parsed = parse(line)
  if (parsed === undefined) return { problems: ['it is not valid JSON.'] }
  const read = person.safeParse(parsed)
  if (read.success) return { person: read.data }
  return {
    problems: read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}.`),
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
