import { type Command, InvalidArgumentError } from 'commander'
import { type Claims, claimProblem, readClaim } from '../accounts/claims.ts'
import { Refused } from '../errors.ts'
import { textArgument } from './words.ts'

/** Options of commands that set claims. */

export interface ClaimOptions {
  readonly name?: string
  readonly email?: string
  readonly emailVerified?: true
  readonly claim?: readonly (readonly [name: string, value: unknown])[]
}

const EXAMPLES = `
Claims are those of OpenID Connect Core 1.0, section 5.1, and others that the configuration names under the
scope that gives them (claims). A value is text, or JSON if the claim is not text:
  --claim birthdate=1815-12-10 --claim zoneinfo=Europe/London --claim phone_number=+442079460000
  --claim phone_number_verified=true --claim 'address={"locality":"London","country":"UK"}'
Leave out claims that are not known: a value of false tells clients that the answer is known to be no.`

export function withClaims(command: Command): Command {
  return command
    .option('--name <name>', 'name of the person for clients', claimArgument('name'))
    .option(
      '--email <address>',
      'email address for clients; not verified without --email-verified',
      claimArgument('email'),
    )
    .option('--email-verified', 'the address is known to belong to the person')
    .option('--claim <name=value>', 'another claim; can be repeated', collectClaim)
    .addHelpText('after', EXAMPLES)
}

/** The claims that options set. @throws Refused if a claim is set twice */
export function readClaims({ name, email, emailVerified, claim = [] }: ClaimOptions): Claims {
  const own = Object.entries({ name, email, email_verified: emailVerified })
  const named = [...own.filter(([, value]) => value !== undefined), ...claim]
  const twice = named.find(([one], place) => named.slice(0, place).some(([other]) => other === one))
  if (twice) {
    const [claim] = twice
    throw new Refused('input_invalid', {}, `The claim ${claim} is set twice. Set it once.`)
  }
  return Object.fromEntries(named)
}

const claimArgument = (name: string) => textArgument((text) => claimProblem(name, text))

function collectClaim(
  text: string,
  before: NonNullable<ClaimOptions['claim']> = [],
): NonNullable<ClaimOptions['claim']> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('It must be NAME=VALUE, such as nickname=ada.')
  }
  if (before.some(([known]) => known === name)) {
    throw new InvalidArgumentError(`The claim ${name} is set twice.`)
  }
  return [...before, [name, readClaim(name, value)]]
}
