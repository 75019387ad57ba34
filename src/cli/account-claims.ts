import { type Command, InvalidArgumentError } from 'commander'
import { type Claims, claimProblem, readClaim } from '../accounts/claims.ts'
import { Refused } from '../errors.ts'
import { textArgument } from './words.ts'

/** Claims as options of commands. */

export interface ClaimOptions {
  readonly name?: string
  readonly email?: string
  readonly emailVerified?: true
  readonly claim?: readonly (readonly [name: string, value: unknown])[]
}

const EXAMPLES = `
Claims are those of OpenID Connect Core 1.0, section 5.1, and others that the configuration names under the
scope that gives them (claims). Values are text, or JSON where the claim is no text:
  --claim birthdate=1815-12-10 --claim zoneinfo=Europe/London --claim phone_number=+442079460000
  --claim phone_number_verified=true --claim 'address={"locality":"London","country":"UK"}'
What is not known is left out: a claim that says false says that it is known.`

export function withClaims(command: Command): Command {
  return command
    .option('--name <name>', 'as clients see it', claimArgument('name'))
    .option(
      '--email <address>',
      'as clients see it; not verified unless told',
      claimArgument('email'),
    )
    .option('--email-verified', 'the address is known to be theirs')
    .option('--claim <name=value>', 'another claim, any number of times', collectClaim)
    .addHelpText('after', EXAMPLES)
}

/** The claims that options name. @throws Refused where one is named twice */
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
    throw new InvalidArgumentError(`The claim ${name} is given twice.`)
  }
  return [...before, [name, readClaim(name, value)]]
}
