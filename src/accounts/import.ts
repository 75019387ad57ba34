import { parseDocument } from 'yaml'
import { z } from 'zod'
import { Refused } from '../errors.ts'
import type { Account } from './account-store.ts'
import { addAccount, problemsOf, type Surroundings } from './operate.ts'
import { isPasswordHash } from './password.ts'
import { nameKey, skeletonKey } from './skeleton.ts'

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
export async function readPeople(
  text: string,
  claimNames: readonly string[],
): Promise<readonly ImportedPerson[]> {
  const problems: string[] = []
  const lines = new Map<string, number>()
  const alike = new Map<string, number>()
  const people: ImportedPerson[] = []
  // RFC 8259, section 8.1: a byte order mark may be passed over.
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '') continue
    const number = index + 1
    const read = readPerson(line)
    const found = 'person' in read ? problemsOf(read.person, claimNames) : read.problems
    problems.push(...found.map((problem) => `Line ${number}: ${problem}`))
    if (!('person' in read)) continue
    const { username } = read.person
    const [key, skeleton] = [nameKey(username), await skeletonKey(username)]
    const [same, similar] = [lines.get(key), alike.get(skeleton)]
    if (same !== undefined) problems.push(`Line ${number}: it has the user name of line ${same}.`)
    else if (similar !== undefined) {
      problems.push(`Line ${number}: its user name looks like that of line ${similar}.`)
    }
    lines.set(key, number)
    alike.set(skeleton, number)
    people.push(read.person)
  }
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
  // What stands for bytes that were no text.
  if (line.includes('\ufffd')) return { problems: ['it is no UTF-8 text (RFC 8259, section 8.1).'] }
  const parsed = parse(line)
  if (parsed === undefined) return { problems: ['it is not valid JSON.'] }
  const read = person.safeParse(parsed, { error: expectation })
  const problems = [
    ...(read.error?.issues ?? []).flatMap(sentencesOf),
    ...(hasUnusableName(parsed) ? ['nothing can have the name __proto__.'] : []),
    // JSON.parse takes the last (RFC 8259, section 4).
    ...(namesTwice(line) ? ['it has one property twice.'] : []),
  ]
  return read.success && problems.length === 0 ? { person: read.data } : { problems }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  object: 'a JSON object',
  record: 'a JSON object',
}

/** Ends the sentence "it must be ...". */
function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'invalid_type' ? `it must be ${TYPES[issue.expected]}` : undefined
}

function sentencesOf(issue: z.core.$ZodIssue): readonly string[] {
  if (issue.code === 'unrecognized_keys') {
    // The check of all names tells of that one.
    const names = issue.keys.filter((name) => name !== UNUSABLE)
    return names.map((name) => `an account has no ${name}.`)
  }
  const { path, message } = issue
  return [path.length === 0 ? `${message}.` : `${path.join('.')}: ${message}.`]
}

/** zod leaves it out of maps whose names people choose, without a word. */
const UNUSABLE = '__proto__'

function hasUnusableName(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([name, part]) => name === UNUSABLE || hasUnusableName(part))
}

function namesTwice(line: string): boolean {
  return parseDocument(line).errors.some(({ code }) => code === 'DUPLICATE_KEY')
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
