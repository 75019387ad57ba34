import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, addPerson, PERSON, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import type { Config } from '../../src/config/schema.ts'
import { DATABASES } from '../support/databases.ts'
import { spawnServer, untilReady } from '../support/process.ts'

for (const database of DATABASES) {
  if (database.name === 'SQLite') continue
  const { name, skip } = database

  describe(`two servers on ${name}`, { skip }, () => {
    it('started at once on an empty database make the keys of one, and each goes on with what the other began', async (t) => {
      await using fresh = await database.create()
      await using folders = await twoFolders({ url: fresh.url, connections: 6 })
      const [here, there] = folders.configs
      const [one, two] = [spawnServer(folders.files[0]), spawnServer(folders.files[1])]
      t.after(() => Promise.all([one, two].map((server) => server.stop('SIGKILL'))))
      await Promise.all([untilReady(one, here), untilReady(two, there)])
      await addPerson(here)

      const published = await Promise.all(
        folders.configs.map(async (config) => (await fetch(`${urlOf(config)}/jwks`)).json()),
      )
      assert.deepEqual(kidsOf(published[0]), kidsOf(published[1]))
      assert.equal(kidsOf(published[0]).length, 4, 'an active and a standby key for each ring')

      const rp = await discoverAs(here.issuer, 'web')
      const { url, redeem } = await authorizationRequest(rp, { scope: 'openid profile' })
      const { callback, steps } = await signIn(createUserAgent(), url, PERSON)
      assert.deepEqual(steps, ['sign-in', 'consent'])
      const tokens = await redeem(callback)
      const jwks = createRemoteJWKSet(new URL(`${urlOf(there)}/jwks`))
      await jwtVerify(tokens.id_token ?? '', jwks, { issuer: here.issuer, audience: 'web' })
      const person = await client.fetchUserInfo(rp, tokens.access_token, tokens.claims()?.sub ?? '')
      assert.equal(person.name, 'Ada Lovelace')

      const [machineHere, machineThere] = [
        await discoverAs(here.issuer, 'machine'),
        await discoverAs(here.issuer, 'machine'),
      ]
      // As a load balancer would send it.
      // Its type only lacks that a property may be undefined.
      machineThere[client.customFetch] = (url, options) =>
        fetch(url.replace(here.issuer, urlOf(there)), options as RequestInit)
      const opaque = await Promise.all(
        Array.from({ length: 20 }, () =>
          client.clientCredentialsGrant(machineHere, { resource: `${API}/opaque`, scope: 'read' }),
        ),
      )
      const answers = await Promise.all(
        opaque.map(({ access_token }) => client.tokenIntrospection(machineThere, access_token)),
      )
      assert.ok(answers.every(({ active }) => active))

      for (const server of [one, two]) assert.equal(await server.stop(), 0, server.output())
    })
  })
}

function kidsOf(jwks: unknown): readonly string[] {
  // The server's own answer.
  return (jwks as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
}

/** Where a server listens; people and relying parties know the issuer. */
function urlOf({ http }: Config): string {
  return `http://localhost:${http.port}`
}

/** Two configurations of one deployment that differ in their ports. */
async function twoFolders(database: Partial<Config['database']>) {
  const [one, two] = [await temporaryFolder(), await temporaryFolder()]
  const seal = { file: join(one.path, 'kek.jwks') }
  const settings = { database, seal }
  const here = await testSettings(one.path, settings)
  const there = await testSettings(two.path, { ...settings, issuer: here.issuer })
  const configs = [here, there] as const
  return {
    configs,
    files: [join(one.path, 'keyturn.yaml'), join(two.path, 'keyturn.yaml')] as const,
    [Symbol.asyncDispose]: async () => {
      await one.remove()
      await two.remove()
    },
  }
}
