import { parseDocument } from 'yaml'
import { z } from 'zod'
import { Refused } from '../errors.ts'
import { jsonOf } from '../values/json-of.ts'
import type { Account } from './account-store.ts'
import { addAccount, problemsOf, type Surroundings } from './operate.ts'
import { isPasswordHash } from './password.ts'
import { nameKey, skeletonKey } from './skeleton.ts'

/** Imports people from JSON Lines: each line is a JSON object with one account. */

const person = z.strictObject({
  username: z.string(),
  claims: z.record(z.string(), z.unknown()).default({}),
  /** Argon2id hash as a PHC string; without it, a one-time password is made. */
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
  /** Password of a person who was imported without a hash. */
  readonly oneTimePassword?: string
}

/**
 * Reads and checks all people, before any is added.
 * @throws Refused with every problem, by line, or if there is nobody
 */
export async function readPeople(
  text: string,
  claimNames: readonly string[],
): Promise<readonly ImportedPerson[]> {
  const problems: string[] = []
  const lines = new Map<string, number>()
  const alike = new Map<string, number>()
  const people: ImportedPerson[] = []
  // A byte order mark may be ignored (RFC 8259, section 8.1).
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
    if (same !== undefined) problems.push(`Line ${number}: its user name is that of line ${same}.`)
    else if (similar !== undefined) {
      problems.push(`Line ${number}: its user name looks like that of line ${similar}.`)
    }
    lines.set(key, number)
    alike.set(skeleton, number)
    people.push(read.person)
  }
  if (problems.length === 0 && people.length === 0) problems.push('There is no account in it.')
  if (problems.length > 0) throw new Refused('import_invalid', { problems }, problems.join('\n'))
  return people
}

/**
 * Adds people one after another.
 * @yields each added account
 * @throws Refused at the end, with all user names that were taken
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

/** Adds one person. @throws Refused if the user name is taken */
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
  // The replacement character stands for bytes that are not UTF-8.
  if (line.includes('\ufffd'))
    return { problems: ['it is not UTF-8 text (RFC 8259, section 8.1).'] }
  const parsed = jsonOf(line)
  if (parsed === undefined) return { problems: ['it is not valid JSON.'] }
  const read = person.safeParse(parsed, { error: expectation })
  const problems = [
    ...(read.error?.issues ?? []).flatMap(sentencesOf),
    ...(hasUnusableName(parsed) ? ['no property may be named __proto__.'] : []),
    // JSON.parse would silently take the last one (RFC 8259, section 4).
    ...(namesTwice(line) ? ['a property occurs twice in one object.'] : []),
  ]
  return read.success && problems.length === 0 ? { person: read.data } : { problems }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  object: 'a JSON object',
  record: 'a JSON object',
}

/** The message of a wrong type. */
function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'invalid_type' ? `it must be ${TYPES[issue.expected]}` : undefined
}

function sentencesOf(issue: z.core.$ZodIssue): readonly string[] {
  if (issue.code === 'unrecognized_keys') {
    // `hasUnusableName` reports this name.
    const names = issue.keys.filter((name) => name !== UNUSABLE)
    return names.map((name) => `an account has no property ${name}.`)
  }
  const { path, message } = issue
  return [path.length === 0 ? `${message}.` : `${path.join('.')}: ${message}.`]
}

/** A name that zod silently drops from maps with free names. */
const UNUSABLE = '__proto__'

function hasUnusableName(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([name, part]) => name === UNUSABLE || hasUnusableName(part))
}

function namesTwice(line: string): boolean {
  return parseDocument(line).errors.some(({ code }) => code === 'DUPLICATE_KEY')
}
