import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutVectors } from '../../lab/vectors.ts'
import { skipCertificates } from '../support/certificates.ts'
import { commandsOf, pageNames, settingsOf, textOf } from './migration-commands.ts'
import { deploymentFor, type MigrationPage, oldIssuer } from './migration-deployment.ts'

/** Every command of docs/migrate is run here as it stands there, on files that the old systems made. */

/** Words of the pages in the place of an operator's own names. PORT is that of the old issuer. */
const PLACEHOLDERS: readonly (readonly [string, string])[] = [
  ['--next KID', '--next 962bc508-1458-4d92-8cdf-2d5e55d851a3'],
  ['--kid KID', '--kid harbour-2026'],
  ['--kid CEB2...RS256', '--kid CEB2753902C109609F0A86C852820F546D951BF9RS256'],
  ['--kid 67F6...RS256', '--kid 67F6853B4BB8380FFEF25AA429CEF6A3FA987E3BRS256'],
  ['--alias next', '--alias one'],
  ['--realm NAME', '--realm harbour'],
  ['--application my-login', '--application harbour-login'],
  ['--not-after T', '--not-after 2027-01-31T00:00:00Z'],
  ['https://HOST/realms/NAME/', 'http://127.0.0.1:PORT/realms/harbour/'],
  ['https://OLD/', 'http://127.0.0.1:PORT/'],
  ['directory: /keys', 'directory: ./keys'],
  ['/run/secrets/', './'],
]

/** What the old issuer answers. */
const OLD_ISSUER: Readonly<Record<string, string>> = {
  '/jwks.json': 'duende/manual/jwks-pem-2-new-announced.json',
  '/realms/harbour/protocol/openid-connect/certs': 'keycloak/jwks-4.json',
}

/** Beginnings of commands that are not run here, each with the reason. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'keyturn serve': 'serve-imported.test.ts starts a server on the keys of each system',
  'curl -s http://127.0.0.1:9090/health/ready': 'test/server/kept-rings.test.ts asks a server',
  'psql dex ': 'the database of Dex; its row is in keys.csv',
  'hydra get jwks ': 'Hydra; its answers are in sets',
  'kc.sh export ': 'Keycloak; its answer is realm.json',
}

/** Beginnings of commands that the shell of this machine runs. */
const SHELL: readonly string[] = ['head -c ', 'openssl ', 'chmod ']

const PAGES: Readonly<Record<string, MigrationPage>> = {
  'data-protection.md': {
    now: '2026-11-30T10:00:00Z',
    files: {
      keys: 'data-protection/rings/web',
      'ring.pfx': 'data-protection/certificates/ring-a.pfx',
    },
    texts: { 'ring.password': 'test-only-a' },
    isStarted: true,
    listed: {
      'The cut-over as a time line': ['1151205b-48b1-4c1a-9ace-57d7c1978fe0 active'],
      'The way back': ['1151205b-48b1-4c1a-9ace-57d7c1978fe0 active'],
    },
  },
  'dex.md': {
    now: '2026-11-26T22:50:00Z',
    files: { 'keys.csv': 'dex/postgres/keys.csv' },
    listed: {
      'Preview and apply': [
        'a9b700dc1f8e624b2504ed1fcec4a77330b79466 retired',
        'e7cac026ae0251f2d8b1dd610dc0816c23373559 retired',
        '3d2a1a08704f1bd87fbe8a1519e8f628783fa47e active',
      ],
    },
  },
  'duende.md': {
    now: '2026-05-24T13:28:00Z',
    files: {
      keys: 'duende/announced/keys',
      'data-protection-keys': 'duende/announced/ring',
      'old.pfx': 'duende/manual/keys/old.pfx',
      'new.pfx': 'duende/manual/keys/new.pfx',
    },
    texts: { pw: 'test-only-pfx-1' },
    apart: ['Static credentials'],
    listed: {
      Apply: [
        '29F8ECBAEE3A1A49DF04A5BAE391F267 active',
        '2D06A08323761149F189079E2F5DA894 pre-active',
      ],
      'Static credentials': [
        'CEB2753902C109609F0A86C852820F546D951BF9RS256 active',
        '67F6853B4BB8380FFEF25AA429CEF6A3FA987E3BRS256 pre-active',
      ],
    },
  },
  'hydra.md': {
    now: '2026-11-30T10:00:00Z',
    files: { sets: 'hydra/admin-keys/2', 'hydra_jwk.csv': 'hydra/hydra_jwk-2.csv' },
    texts: {
      secrets: 'test-only-system-secret-number-2\ntest-only-system-secret-number-1\n',
    },
    listed: {
      Apply: [
        'fac71a4d-8fe8-49c4-90e3-ac652496de76 retired',
        '78bdd126-4ee3-49b3-9748-fcf6343a1984 retired',
        'id-2026-q2 active',
        '92801f31-5641-4d66-8c45-5f38d06cd0b0 active',
      ],
    },
  },
  'jwks.md': {
    now: '2026-11-30T10:00:00Z',
    files: {
      'private.jwks.json': 'oidc-provider/jwks-2.json',
      'keys/rsa.pem': 'pem/bc-encrypted.pem',
      'keys/ec.pem': 'pem/ec-p256-pkcs8.pem',
      'signing.pem': 'pem/rsa-pkcs8.pem',
      'next.p12': 'pem/java-several.p12',
      'former.crt': 'pem/certificate.pem',
      'theirs.pem': 'duende/manual/keys/new-ec.pem',
    },
    texts: { password: 'test-only-java' },
    apart: ['Without private keys'],
    listed: {
      'With private keys': ['2025-01 active', '2026-01 pre-active', '2024-01 retired'],
      'Without private keys': ['harbour-2025 retired', 'harbour-2026 pre-active'],
    },
    instead: {
      'keyturn keys add theirs.pem --kid KID --as active --apply': [
        'harbour-2025 retired',
        'harbour-2026 active',
      ],
    },
  },
  'keycloak.md': {
    now: '2026-11-30T10:00:00Z',
    files: { 'realm.json': 'keycloak/realm-export.json', conf: 'keycloak/conf' },
    rings: '{ sig/RS256: {}, sig/ES256: {}, sig/RS384: {}, cookie: {} }',
    apart: ['Where private keys cannot leave'],
    stopping: [
      'keyturn keys import keycloak realm.json --realm NAME --files ./conf --apply',
      'keyturn keys add https://HOST/realms/NAME/protocol/openid-connect/certs --as validation --token-lifetime 10m --apply',
    ],
    listed: {
      Apply: [
        'HdFwyoSynVFHa_jrnDwd8R-e7DRoFKet-8XytoztQ0I retired',
        'zpcOCKnxieANgwRr2eAd3xvqLdrfe7258ShmluD9Qhc retired',
        'NcbGpa8frzWrQv7dn0MEiUI0gEP1NVKFPpppJNy0LTw active',
        'ohJsnhNXJCiGqZW7zi-27R0srUWYTYKR-v-doIlIJpc retired',
        'VGbdT6YdTTlzf9_aMIiF87jUPfJkBeCRRaGmVOno9Ng active',
        'cd69f402-a450-4e54-89a3-541b762f8b24 active',
      ],
      'Where private keys cannot leave': [
        'NcbGpa8frzWrQv7dn0MEiUI0gEP1NVKFPpppJNy0LTw retired',
        'HdFwyoSynVFHa_jrnDwd8R-e7DRoFKet-8XytoztQ0I retired',
        'zpcOCKnxieANgwRr2eAd3xvqLdrfe7258ShmluD9Qhc retired',
        'VGbdT6YdTTlzf9_aMIiF87jUPfJkBeCRRaGmVOno9Ng retired',
        'ohJsnhNXJCiGqZW7zi-27R0srUWYTYKR-v-doIlIJpc retired',
        'cd69f402-a450-4e54-89a3-541b762f8b24 retired',
      ],
    },
  },
  'oidc-provider.md': {
    now: '2026-11-30T10:00:00Z',
    files: { 'jwks.json': 'oidc-provider/jwks-3.json' },
    rings: '{ sig/RS256: {}, sig/ES256: {}, sig/PS256: {}, cookie: {} }',
    stopping: ['keyturn keys import oidc-provider jwks.json --token-lifetime 1h --apply'],
    listed: {
      'Preview and apply': [
        'for-every-rsa-algorithm retired',
        'r1u0 retired',
        '962bc508-1458-4d92-8cdf-2d5e55d851a3 active',
        'ec-1 active',
        'hHnOzTJ6fbnGza9fo--QjZeVwfcn7fQTwehStL9KUhA active',
      ],
    },
  },
}

const startsWithAny = (beginnings: readonly string[], command: string) =>
  beginnings.some((beginning) => command.startsWith(beginning))

/** The text of a page with the words of this test in it. */
function filled(text: string, port: number): string {
  return PLACEHOLDERS.reduce((before, [word, own]) => before.replaceAll(word, own), text).replace(
    'PORT',
    String(port),
  )
}

/** Opens a deployment for a page, whose `follow` runs a command as it stands there. */
async function open(name: string, page: MigrationPage, port: number) {
  const settings = settingsOf(name).map(({ file, text }) => ({ file, text: filled(text, port) }))
  const deployment = await deploymentFor(page, settings)
  async function follow(command: string): Promise<void> {
    if (startsWithAny(Object.keys(NOT_RUN), command)) return
    if (startsWithAny(SHELL, command)) return deployment.shell(command)
    const line = filled(command, port)
    assert.match(line, /^keyturn [^"'|<>$]+$/, `neither run nor known: ${command}`)
    assert.doesNotMatch(line, /\b[A-Z]+(?=[\s/]|$)/, `no word for a placeholder of: ${command}`)
    const args = line.split(/\s+/).slice(1)
    const { status, out, err } = await deployment.run(args)
    if (!page.stopping?.includes(command)) {
      // Nothing is wrong in a note, such as that no server has run here yet.
      const warnings = err.replace(/^Note: .+\n/, '')
      assert.deepEqual([status, warnings], [0, ''], command)
      assert.notEqual(out, '', command)
      return
    }
    const advice = /^ring_missing: .*To accept the loss: (--leave .+)\n$/.exec(err)?.[1]
    assert.equal(status, 1, command)
    assert.ok(advice, err)
    const left = await deployment.run([...args, ...advice.split(' ')])
    assert.equal(left.status, 0, left.err)
  }
  return { ...deployment, follow }
}

describe('the pages about moving in', { skip: withoutVectors || skipCertificates }, () => {
  for (const [name, page] of Object.entries(PAGES)) {
    it(`have commands that work as they stand: ${name}`, async () => {
      await using old = await oldIssuer(OLD_ISSUER)
      await using main = await open(name, page, old.port)
      const { apart = [], instead = {}, listed } = page
      for (const [section, steps] of Map.groupBy(commandsOf(name), (step) => step.section)) {
        const commands = steps.map(({ command }) => command)
        await using own = apart.includes(section) ? await open(name, page, old.port) : undefined
        const deployment = own ?? main
        for (const command of commands) if (!instead[command]) await deployment.follow(command)
        const isApplied = commands.some((command) => command.endsWith('--apply'))
        assert.ok(listed[section] || !isApplied, `${section}: which keys are there then?`)
        if (listed[section]) assert.deepEqual(await deployment.listed(), listed[section], section)
        for (const [index, command] of commands.entries()) {
          if (!instead[command]) continue
          await using other = await open(name, page, old.port)
          for (const before of commands.slice(0, index - 1)) await other.follow(before)
          await other.follow(command)
          assert.deepEqual(await other.listed(), instead[command], command)
        }
      }
    })
  }

  it('are all known here, and all that is known here is on them', () => {
    const names = pageNames()
    assert.deepEqual(names, Object.keys(PAGES))
    const all = names.map(textOf).join('\n')
    const words = [...PLACEHOLDERS.map(([word]) => word), ...Object.keys(NOT_RUN), ...SHELL]
    assert.deepEqual(
      words.filter((word) => !all.includes(word)),
      [],
    )
    for (const [name, { apart = [], stopping = [], instead = {}, listed }] of Object.entries(
      PAGES,
    )) {
      const there = commandsOf(name).flatMap(({ section, command }) => [section, command])
      const known = [...apart, ...stopping, ...Object.keys(instead), ...Object.keys(listed)]
      assert.deepEqual(
        known.filter((each) => !there.includes(each)),
        [],
        name,
      )
    }
  })
})
