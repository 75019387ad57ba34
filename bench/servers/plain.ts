import { generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { type JWK, type JWKS, Provider } from 'oidc-provider'
import type { Account, Consent } from '../../src/accounts/account-store.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { chooseIssuer } from '../../src/config/choose-issuer.ts'
import { loadConfig } from '../../src/config/load.ts'
import { addToGrant, createLoadExistingGrant, readRequestedAccess } from '../../src/http/consent.ts'
import { accountClaims } from '../../src/oidc/account.ts'
import { providerSettings } from '../../src/oidc/settings.ts'
import { serveCommands } from '../child.ts'
import { createProfileCommands } from '../profile.ts'
import { PERSON } from '../setting.ts'
import { readUsage } from '../usage.ts'
import { listen } from './listen.ts'

/**
 * Plain oidc-provider as its documentation shows it: one instance, in-memory adapter, static
 * client, private JWKs, a list of cookie keys. Features, lifetimes and resources are those of
 * Keyturn. Its pages are a line of HTML. It checks the password with the same Argon2id and
 * remembers consent as Keyturn does, in memory.
 */

const [file = ''] = process.argv.slice(2)
const config = loadConfig({ file, env: {} })
const own = chooseIssuer(config)
const settings = providerSettings(own)
const cookie = { httpOnly: true, sameSite: 'lax', secure: false } as const

const passwords = createPasswords(config.password.argon2)
const account: Account = {
  id: 'person',
  username: PERSON.username,
  passwordHash: await passwords.hash(PERSON.password),
  claims: {},
  isAdministrator: false,
  isDisabled: false,
  mustChangePassword: false,
  createdAt: 0,
  updatedAt: 0,
}
let consent: Consent | undefined

const provider = new Provider(own.issuer, {
  ...settings,
  clients: config.clients as never,
  jwks: { keys: [...generateKeys('RS256'), ...generateKeys('ES256')] } as JWKS,
  cookies: { keys: ['a key that is long enough to sign'], long: cookie, short: cookie },
  findAccount: (_ctx, sub) =>
    sub === account.id ? { accountId: sub, claims: () => accountClaims(account) } : undefined,
  loadExistingGrant: createLoadExistingGrant({ find: async () => consent }),
  features: { ...settings.features, deviceFlow: { enabled: true } },
})
const respond = provider.callback()

/** Makes as many keys as a ring of Keyturn publishes: a signing key and its standby. */
function generateKeys(alg: 'RS256' | 'ES256'): readonly JWK[] {
  return [1, 2].map((generation) => {
    const { privateKey } =
      alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      ...(privateKey.export({ format: 'jwk' }) as JWK),
      alg,
      use: 'sig',
      kid: `${alg} ${generation}`,
    }
  })
}

async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const details = await provider.interactionDetails(request, response)
  const { prompt, params, session, grantId } = details
  if (request.method === 'GET') {
    const action = prompt.name === 'login' ? 'sign-in' : 'allow'
    const body = `<form method="post"><button name="action" value="${action}">Go</button></form>`
    const headers = { 'content-type': 'text/html', 'content-length': Buffer.byteLength(body) }
    response.writeHead(200, headers).end(body)
    return
  }
  const form = new URLSearchParams(await text(request))
  if (prompt.name === 'login') {
    if (!(await passwords.verify(form.get('password') ?? '', account.passwordHash))) {
      throw new Error('the password is wrong')
    }
    const login = { accountId: account.id, amr: ['pwd'] }
    await provider.interactionFinished(request, response, { login })
    return
  }
  const clientId = String(params.client_id)
  const accountId = String(session?.accountId)
  const existing = grantId ? await provider.Grant.find(grantId) : undefined
  const grant = existing ?? new provider.Grant({ accountId, clientId })
  const allowed = readRequestedAccess(prompt.details)
  addToGrant(grant, allowed)
  consent = { accountId, clientId, ...allowed, updatedAt: 0 }
  const result = { consent: { grantId: await grant.save() } }
  const options = { mergeWithLastSubmission: true }
  await provider.interactionFinished(request, response, result, options)
}

const port = await listen((request, response) => {
  if (!request.url?.startsWith('/interaction/')) return void respond(request, response)
  interact(request, response).catch((error) => {
    process.stderr.write(`${error}\n`)
    response.writeHead(500, { 'content-length': 0 }).end()
  })
})
serveCommands(port, { usage: readUsage, ...createProfileCommands() })
