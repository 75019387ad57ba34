import { type DataSource, type FindOptionsWhere, Like } from 'typeorm'
import { OPTIONAL_ANSWERS, type WantedAlgorithm } from '../clients/signed-answers.ts'
import type { Authentic } from './authentic.ts'
import { type ClientRow, clientSchema, type Owned } from './tables.ts'

/** Reads the algorithms that clients want for signed answers, each with one such client. */
export async function readAlgorithms(
  dataSource: DataSource,
  authentic: Authentic,
): Promise<readonly WantedAlgorithm[]> {
  return [
    ...(await readOfIdTokens(dataSource, authentic)),
    ...(await readOptional(dataSource, authentic)),
  ]
}

/**
 * Algorithms of ID tokens, for which one client of each is read. A row that fails its check is no
 * client, so what it wants must not stop the server.
 */
async function readOfIdTokens(
  dataSource: DataSource,
  authentic: Authentic,
): Promise<readonly WantedAlgorithm[]> {
  const { issuer } = authentic
  const { clients: rows } = await authentic.open()
  const clients = dataSource.getRepository(clientSchema)
  const genuine = async (where: FindOptionsWhere<Owned<ClientRow>>) =>
    (await clients.find({ where, order: { id: 'ASC' } })).flatMap((row) => rows.toClient(row) ?? [])
  const named = await clients
    .createQueryBuilder('client')
    .select('client.idTokenAlgorithm', 'algorithm')
    .addSelect('MIN(client.id)', 'id')
    .where({ issuer })
    .groupBy('client.idTokenAlgorithm')
    .getRawMany<{ algorithm: string; id: string }>()
  const wanted = named.map(async ({ algorithm, id }): Promise<readonly WantedAlgorithm[]> => {
    const where = { issuer, idTokenAlgorithm: algorithm }
    const [first] = await genuine({ ...where, id })
    // All others are read only where somebody has changed the first one.
    const client = first ?? (await genuine(where))[0]
    return client ? [{ answer: 'id_token_signed_response_alg', algorithm, client: client.id }] : []
  })
  return (await Promise.all(wanted)).flat()
}

/** Algorithms of other answers, for which only the few clients that name them are read. */
async function readOptional(
  dataSource: DataSource,
  authentic: Authentic,
): Promise<readonly WantedAlgorithm[]> {
  const { issuer } = authentic
  const { clients: rows } = await authentic.open()
  const named = await dataSource.getRepository(clientSchema).find({
    where: OPTIONAL_ANSWERS.map((answer) => ({ issuer, metadata: Like(`%"${answer}":%`) })),
    order: { id: 'ASC' },
  })
  const wanted = new Map<string, WantedAlgorithm>()
  for (const { id, metadata } of named.flatMap((row) => rows.toClient(row) ?? [])) {
    for (const answer of OPTIONAL_ANSWERS) {
      const { [answer]: algorithm } = metadata
      const name = `${answer} ${algorithm}`
      if (typeof algorithm !== 'string' || wanted.has(name)) continue
      wanted.set(name, { answer, algorithm, client: id })
    }
  }
  return [...wanted.values()]
}
