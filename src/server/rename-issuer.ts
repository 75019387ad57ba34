import { NotFound, Refused } from '../errors.ts'
import { isRenaming, planRenaming } from '../ring/bound-names.ts'
import { isDeploymentRecord, nameIssuers } from '../ring/deployment.ts'
import type { Secrets } from '../ring/protector.ts'
import type { Witness } from '../witness/witness.ts'
import { authenticWitness } from '../witness/witness-mac.ts'
import { type IssuerPlaces, issuersOf } from './issuers.ts'

/** An issuer with the number of its records. */
export interface KnownIssuer {
  readonly issuer: string
  readonly keys: number
  readonly accounts: number
  readonly clients: number
}

/** Operations on issuers for operators. */
export interface IssuerOperations {
  /** Lists the issuers with records, in order. @throws StoreUnavailable */
  list(): Promise<readonly KnownIssuer[]>
  /**
   * Shows what would be renamed, without changing anything.
   * @throws NotFound if `from` has no records; Refused if `to` has some
   */
  look(from: string, to: string): Promise<KnownIssuer>
  /**
   * Gives an issuer another URL, which its keys, events, people, clients and consents then belong
   * to. Sessions and tokens end. May be repeated after an interruption. Every node must be stopped.
   * @returns the issuer with its new URL
   * @throws the errors of `look`, and of opening the secret of the deployment
   */
  rename(from: string, to: string): Promise<KnownIssuer>
}

export interface OperationsOptions extends IssuerPlaces {
  readonly openSecrets: () => Promise<Secrets>
  readonly witnessOf: (issuer: string) => Witness | undefined
}

export function createIssuerOperations({
  openSecrets,
  witnessOf,
  ...places
}: OperationsOptions): IssuerOperations {
  const { known, keyStores } = places

  async function count(issuer: string): Promise<KnownIssuer> {
    const counts = await known.count(issuer)
    const { keys } = await keyStores.of(issuer).load()
    return { issuer, ...counts, keys: keys.filter((key) => !isDeploymentRecord(key)).length }
  }

  async function look(from: string, to: string): Promise<KnownIssuer> {
    const all = await issuersOf(places)
    const { names = {} } = (await openSecrets()).deployment
    if (isRenaming(names, from, to)) return count(all.includes(from) ? from : to)
    if (!all.includes(from)) {
      const message = `Nothing is kept of the issuer ${from}. Known: ${all.join(', ') || 'none'}.`
      throw new NotFound('issuer_not_found', { issuer: from, issuers: all }, message)
    }
    if (all.includes(to)) {
      const message = `The issuer ${to} has keys, people or clients already, and two cannot be made one.`
      throw new Refused('issuer_taken', { issuer: to }, message)
    }
    return count(from)
  }

  async function rename(from: string, to: string): Promise<KnownIssuer> {
    await look(from, to)
    const { keys, deployment } = await openSecrets()
    const place = { store: keyStores.shared, sealer: keys }
    const { during, after } = planRenaming(deployment.names ?? {}, from, to)
    const both = await nameIssuers(deployment, during, place)
    const former = witnessOf(from)
    const record = former && (await authenticWitness(former, both.of(from)).read())
    await known.rename(from, to)
    await keyStores.rename(from, to)
    const witness = witnessOf(to)
    if (witness && record) {
      await authenticWitness(witness, both.of(to)).update(() => ({ ...record, issuer: to }))
    }
    await nameIssuers(both, after, place)
    return count(to)
  }

  return {
    list: async () => Promise.all((await issuersOf(places)).map(count)),
    look,
    rename,
  }
}
