import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'
import {
  findServices,
  type Service,
  type ServiceKind,
  startService,
} from '../../lab/own-services.ts'
import { systemClock } from '../../src/clock.ts'
import { openDatabase } from '../../src/database/database.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { openArtifactsOf } from '../support/artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { type Certificates, makeCertificates, skipCertificates } from '../support/certificates.ts'
import { redisSettings } from '../support/redis.ts'

/** What a URL asks of TLS, asked of servers that have it and of servers that do not. */

const found = await findServices()

function reasonToSkip(kind: ServiceKind): string | false {
  if (found.has(kind)) return skipCertificates
  if (process.env.CI) throw new Error(`${kind} is not installed`)
  return `${kind} is not installed`
}

/** How each server is told to speak TLS. */
const TLS_ARGS: Readonly<Record<ServiceKind, (files: Certificates) => readonly string[]>> = {
  postgres: ({ certificate, key }) => [
    ...['-c', 'ssl=on', '-c', `ssl_cert_file=${certificate}`, '-c', `ssl_key_file=${key}`],
  ],
  mariadb: ({ certificate, key }) => [`--ssl-cert=${certificate}`, `--ssl-key=${key}`],
  redis: ({ certificate, key, authority }) => [
    ...['--tls-port', '0', '--tls-cert-file', certificate, '--tls-key-file', key],
    ...['--tls-ca-cert-file', authority, '--tls-auth-clients', 'no'],
  ],
}

/** Asks a session whether it is encrypted. */
const CIPHER = {
  postgres:
    "SELECT coalesce((SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()), '') AS c",
  mariadb:
    "SELECT variable_value AS c FROM information_schema.session_status WHERE variable_name = 'SSL_CIPHER'",
} as const

async function cipherOf(kind: 'postgres' | 'mariadb', url: string): Promise<string> {
  const settings = { url, connections: 2, timeout: 5 }
  // What expires has connections of its own.
  const artifacts = await openArtifactsOf(
    { database: settings },
    { authentic: testAuthentic(), clock: systemClock },
  )
  await artifacts
    .adapter('AccessToken')
    .find('t')
    .catch((error: Error) => {
      if (!/table/.test(error.message)) throw error
    })
  await artifacts.close()
  const dataSource = await openDatabase(settings)
  try {
    const [row] = await dataSource.query(CIPHER[kind])
    return row.c
  } finally {
    await dataSource.destroy()
  }
}

for (const [kind, words] of [
  ['postgres', { mode: 'sslmode', require: 'require', full: 'verify-full', ca: 'verify-ca' }],
  ['mariadb', { mode: 'ssl-mode', require: 'REQUIRED', full: 'VERIFY_IDENTITY', ca: 'VERIFY_CA' }],
] as const) {
  describe(`TLS with ${kind}`, { skip: reasonToSkip(kind) }, () => {
    let good: Certificates
    let foreign: Certificates
    let plain: Service
    let secure: Service
    let misnamed: Service
    before(async () => {
      good = await makeCertificates('DNS:localhost,IP:127.0.0.1')
      foreign = await makeCertificates('DNS:db.example')
      const start = (files: Certificates) =>
        startService(kind, {
          args: TLS_ARGS[kind](files),
          files: [files.certificate, files.key],
        })
      plain = await startService(kind, kind === 'mariadb' ? { args: ['--skip-ssl'] } : {})
      secure = await start(good)
      misnamed = await start(foreign)
    })
    after(async () => {
      for (const each of [plain, secure, misnamed, good, foreign])
        await each?.[Symbol.asyncDispose]()
    })
    const at = (service: Service, query: string, host = '127.0.0.1') => {
      const url = new URL(service.url())
      url.hostname = host
      return `${url.href}?${query}`
    }
    const { mode, require, full, ca } = words

    it('that a URL asks for is there, on every connection', async () => {
      assert.notEqual(await cipherOf(kind, at(secure, `${mode}=${require}`)), '')
      assert.notEqual(await cipherOf(kind, at(secure, 'ssl=true&sslVerifyCert=false')), '')
    })

    it('that a URL asks for, of a server without it, is an error that says so', async () => {
      for (const query of [`${mode}=${require}`, 'ssl=true', `sslrootcert=${good.authority}`]) {
        await assert.rejects(
          cipherOf(kind, at(plain, query)),
          /asks for TLS and the server offers none/,
        )
      }
    })

    it('that a URL forbids is not there', async () => {
      const off = kind === 'postgres' ? 'disable' : 'DISABLED'
      assert.equal(await cipherOf(kind, at(secure, `${mode}=${off}`)), '')
      assert.equal(await cipherOf(kind, at(plain, `${mode}=${off}`)), '')
    })

    it('with verification takes the certificate of a named authority, by name and by address', async () => {
      for (const host of ['localhost', '127.0.0.1']) {
        const query = `${mode}=${full}&sslrootcert=${good.authority}`
        assert.notEqual(await cipherOf(kind, at(secure, query, host)), '')
      }
    })

    it('with verification refuses a certificate that nobody who is trusted vouches for', async () => {
      for (const query of [`${mode}=${full}`, `${mode}=${ca}`, 'ssl=true']) {
        await assert.rejects(cipherOf(kind, at(secure, query)), /sslrootcert=FILE/)
      }
      const other = `${mode}=${ca}&ssl-ca=${foreign.authority}`
      await assert.rejects(cipherOf(kind, at(secure, other)), /sslrootcert=FILE/)
    })

    it('for another host is refused where the host counts, and only there', async () => {
      const own = `sslrootcert=${foreign.authority}`
      for (const host of ['localhost', '127.0.0.1']) {
        await assert.rejects(
          cipherOf(kind, at(misnamed, `${mode}=${full}&${own}`, host)),
          /is for another host/,
        )
        assert.notEqual(await cipherOf(kind, at(misnamed, `${mode}=${ca}&${own}`, host)), '')
        assert.notEqual(await cipherOf(kind, at(misnamed, `${mode}=${require}&${own}`, host)), '')
      }
    })

    it('with a file that is not there, or a device, is an error that names the parameter', async () => {
      for (const [file, reason] of [
        ['/nowhere/ca.pem', /Cannot read the ca file of database.url: .*\/nowhere\/ca.pem/],
        ['/dev/zero', /Cannot read the ca file of database.url: it has more than 16777216 bytes/],
      ] as const) {
        await assert.rejects(
          cipherOf(kind, at(secure, `${mode}=${full}&sslrootcert=${file}`)),
          reason,
        )
      }
    })
  })
}

describe('TLS with Redis', { skip: reasonToSkip('redis') }, () => {
  let good: Certificates
  let foreign: Certificates
  let plain: Service
  before(async () => {
    good = await makeCertificates('DNS:localhost,IP:127.0.0.1')
    foreign = await makeCertificates('DNS:cache.example')
    plain = await startService('redis')
  })
  after(async () => {
    for (const each of [plain, good, foreign]) await each?.[Symbol.asyncDispose]()
  })
  const ping = async (url: string) => {
    const redis = openRedis(redisSettings({ url, timeout: 1 }), systemClock)
    try {
      return await redis.run('ask', () => redis.client.ping())
    } finally {
      redis.close()
    }
  }
  /** Two ports: TLS on one, none on the other, as the drill asks without. */
  const withTls = async (files: Certificates, work: (port: number) => Promise<void>) => {
    const port = await freePort()
    const args = TLS_ARGS.redis(files).map((word) => (word === '0' ? String(port) : word))
    await using _ = await startService('redis', { args })
    await work(port)
  }

  it('is there where the URL asks for it, in each of its spellings', async () => {
    await withTls(good, async (port) => {
      for (const url of [
        `rediss://localhost:${port}?sslrootcert=${good.authority}`,
        `rediss://127.0.0.1:${port}?ssl_ca_certs=${good.authority}`,
        `redis://127.0.0.1:${port}?tls=true&ssl_ca_certs=${good.authority}`,
        `rediss://127.0.0.1:${port}?ssl_cert_reqs=none`,
        `rediss://127.0.0.1:${port}?sslmode=require`,
      ]) {
        assert.equal(await ping(url), 'PONG', url)
      }
    })
  })

  it('is refused where the certificate is not trusted or for another host', async () => {
    await withTls(foreign, async (port) => {
      await assert.rejects(ping(`rediss://127.0.0.1:${port}`), /store_unavailable|certificate/)
      await assert.rejects(
        ping(`rediss://127.0.0.1:${port}?sslrootcert=${foreign.authority}`),
        /certificate.*host|altnames/i,
      )
      const unnamed = `rediss://127.0.0.1:${port}?sslmode=verify-ca&sslrootcert=${foreign.authority}`
      assert.equal(await ping(unnamed), 'PONG')
    })
  })

  it('asked of a server without it is an error', async () => {
    await assert.rejects(ping(`rediss://127.0.0.1:${plain.port}?sslmode=require`))
    await assert.rejects(ping(`redis://127.0.0.1:${plain.port}?tls=true`))
  })
})
