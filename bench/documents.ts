import { compare } from './compare.ts'
import { headerValues, openConnection, requestBytes } from './connection.ts'
import type { Bench, Figure } from './figure.ts'
import type { Prepare } from './load.ts'

/**
 * JWKS and discovery: Keyturn with all its headers beside bare koa that has the same bytes in
 * memory and sends them with Content-Type and Content-Length only. The comparison with
 * oidc-provider's own route is reported without an aim.
 */
export async function measureDocument(
  bench: Bench,
  { name, path }: { name: string; path: string },
): Promise<readonly Figure[]> {
  await publishOnKoa(bench, path)
  const prepare = fetches(path)
  return [
    await compare(bench, {
      name,
      note: 'beside bare koa that sends the same bytes',
      other: 'koa',
      prepare,
      aim: { bound: 'least', value: 1 },
    }),
    await compare(bench, { name, note: 'beside plain oidc-provider', other: 'plain', prepare }),
  ]
}

async function publishOnKoa(bench: Bench, path: string): Promise<void> {
  const { port } = await bench.server('keyturn')
  const connection = await openConnection(port)
  const answer = await connection.send(requestBytes('GET', path))
  connection.close()
  const [type = ''] = headerValues(answer, 'content-type')
  const koa = await bench.server('koa')
  await koa.call('publish', { path, type, text: answer.body.toString() })
}

export function fetches(path: string): Prepare {
  const bytes = Buffer.from(requestBytes('GET', path))
  return async (connection) => async () => {
    const { status } = await connection.send(bytes)
    if (status !== 200) throw new Error(`${path} answered ${status}`)
  }
}
