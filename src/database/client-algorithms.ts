import { type DataSource, Like } from 'typeorm'
import { OPTIONAL_ANSWERS, type WantedAlgorithm } from '../clients/signed-answers.ts'
import type { Authentic } from './authentic.ts'
import { clientSchema } from './tables.ts'

/** Reads the algorithms that clients want for signed answers, each with one such client. */
export async function readAlgorithms(
  dataSource: DataSource,
  authentic: Authentic,
): Promise<readonly WantedAlgorithm[]> {
  const ofIdTokens = await dataSource
    .getRepository(clientSchema)
    .createQueryBuilder('client')
    .select('client.idTokenAlgorithm', 'algorithm')
    .addSelect('MIN(client.id)', 'client')
    .where({ issuer: authentic.issuer })
    .groupBy('client.idTokenAlgorithm')
    .getRawMany<{ algorithm: string; client: string }>()
  const answer = 'id_token_signed_response_alg'
  return [
    ...ofIdTokens.map((wanted) => ({ answer, ...wanted }) as const),
    ...(await readOptional(dataSource, authentic)),
  ]
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
