import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { databaseServer, databaseUrlProblem } from '../../src/connection/database-url.ts'
import { redisServer, redisUrlProblem } from '../../src/connection/redis-url.ts'
import type { TlsRequest } from '../../src/connection/tls-request.ts'
import { broken, violationsOf } from './sources.ts'

const PG = 'postgres://keyturn@db.example/keyturn'
const MY = 'mysql://keyturn@db.example/keyturn'
const FILES = { cert: '/c.pem', key: '/k.pem' }

/** What each family of drivers writes, and what it means. */
const ASKED: readonly (readonly [url: string, tls: TlsRequest | undefined])[] = [
  [PG, undefined],
  [`${PG}?application_name=keyturn-a`, undefined],
  // libpq and node-postgres
  [`${PG}?sslmode=disable`, { level: 'disable' }],
  [`${PG}?sslmode=allow`, { level: 'require' }],
  [`${PG}?sslmode=prefer`, { level: 'require' }],
  [`${PG}?sslmode=require`, { level: 'require' }],
  [`${PG}?sslmode=require&sslrootcert=/ca.pem`, { level: 'verify-ca', ca: '/ca.pem' }],
  [`${PG}?sslmode=verify-ca`, { level: 'verify-ca' }],
  [`${PG}?sslmode=verify-full`, { level: 'verify-full' }],
  [`${PG}?sslrootcert=system`, { level: 'verify-full' }],
  [`${PG}?sslmode=no-verify`, { level: 'require' }],
  [`${PG}?ssl=true`, { level: 'verify-full' }],
  [`${PG}?ssl=1&sslmode=verify-ca`, { level: 'verify-ca' }],
  [`${PG}?ssl=0`, { level: 'disable' }],
  [`${PG}?requiressl=1`, { level: 'require' }],
  [`${PG}?sslcert=/c.pem&sslkey=/k.pem`, { level: 'verify-full', ...FILES }],
  [`${PG}?sslnegotiation=direct`, { level: 'verify-full', isDirect: true }],
  [
    `${PG}?sslmode=verify-full&ssl_min_protocol_version=TLSv1.3`,
    { level: 'verify-full', minVersion: 'TLSv1.3' },
  ],
  // The clients of MySQL and MariaDB
  [`${MY}?ssl-mode=REQUIRED`, { level: 'require' }],
  [`${MY}?ssl-mode=DISABLED`, { level: 'disable' }],
  [`${MY}?ssl-mode=PREFERRED`, { level: 'require' }],
  [`${MY}?ssl-mode=VERIFY_CA&ssl-ca=/ca.pem`, { level: 'verify-ca', ca: '/ca.pem' }],
  [`${MY}?ssl-mode=VERIFY_IDENTITY`, { level: 'verify-full' }],
  [`${MY}?ssl_ca=/ca.pem`, { level: 'verify-full', ca: '/ca.pem' }],
  [`${MY}?ssl=true&ssl-verify-server-cert=false`, { level: 'require' }],
  [`${MY}?ssl_ca=/ca.pem&ssl_verify_identity=false`, { level: 'verify-ca', ca: '/ca.pem' }],
  [`${MY}?tls=skip-verify`, { level: 'require' }],
  [
    `${MY}?tls-version=TLSv1.2,TLSv1.3&ssl=on`,
    { level: 'verify-full', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' },
  ],
  // Connector/J and MariaDB Connector/J
  ['mariadb://db.example/keyturn?sslMode=verify-full', { level: 'verify-full' }],
  ['mariadb://db.example/keyturn?sslMode=trust', { level: 'require' }],
  [
    'mariadb://db.example/keyturn?useSsl=true&serverSslCert=/ca.pem',
    { level: 'verify-full', ca: '/ca.pem' },
  ],
  [`${MY}?useSSL=true&requireSSL=true&verifyServerCertificate=false`, { level: 'require' }],
  // Prisma, mysql2
  [`${MY}?sslaccept=strict`, { level: 'verify-full' }],
  [`${MY}?ssl=${encodeURIComponent('{"rejectUnauthorized":false}')}`, { level: 'require' }],
  [`${MY}?ssl=${encodeURIComponent('{"ca":"/ca.pem"}')}`, { level: 'verify-ca', ca: '/ca.pem' }],
]

describe('a database URL', () => {
  for (const [url, tls] of ASKED) {
    it(`${url} asks for ${tls?.level ?? 'nothing'}`, () => {
      assert.equal(databaseUrlProblem(url), undefined)
      assert.deepEqual(databaseServer(url).tls, tls)
    })
  }

  for (const [url, problem] of [
    [`${PG}?sslmod=require`, /sslmod is none, the nearest is sslmode$/],
    [`${MY}?ssl-mod=REQUIRED`, /ssl-mod is none, the nearest is sslmode$/],
    [`${PG}?aplication_name=x`, /the nearest is applicationname$/],
    [`${MY}?allowMultiQueries=true`, /allowMultiQueries is none/],
    [`${PG}?sslmode=requird`, /whose sslmode is disable, require, verify-ca or verify-full$/],
    [`${MY}?ssl-mode=`, /whose ssl-mode is disable/],
    // Names that every object of JavaScript has are no words of these URLs.
    [`${PG}?sslmode=constructor`, /whose sslmode is disable, require, verify-ca or verify-full$/],
    [`${MY}?ssl-mode=__proto__`, /whose ssl-mode is disable/],
    [`${MY}?ssl={"constructor":1}`, /whose ssl has no constructor, which is unknown$/],
    [`${PG}?constructor=x`, /constructor is none, the nearest is/],
    [`${MY}?ssl-ca=`, /whose ssl-ca is a file$/],
    [`${PG}?sslmode=require&sslmode=disable`, /says sslmode once$/],
    [`${PG}?sslmode=disable&ssl-mode=require`, /says ssl-mode once$/],
    [`${PG}?ssl=true&sslmode=disable`, /ssl asks for it, sslmode forbids it$/],
    [`${MY}?ssl-mode=DISABLED&ssl-ca=/ca.pem`, /ssl-ca asks for it, ssl-mode forbids it$/],
    [`${PG}?ssl=false&sslmode=verify-full`, /sslmode asks for it, ssl forbids it$/],
    [`${PG}?sslmode=verify-full&tls=require`, /one level of TLS, not verify-full and require$/],
    [`${PG}?sslcert=/c.pem`, /both sslcert and sslkey, or neither$/],
    [`${PG}?channel_binding=require`, /channel_binding is disable or prefer$/],
    [`${PG}?uselibpqcompat=false`, /cannot be switched off$/],
    [`${PG}?connect_timeout=3`, /the setting database.timeout/],
    [`${MY}?connectionLimit=3`, /the setting database.connections/],
    [`${PG}?pgbouncer=true`, /session mode/],
    [`${MY}?sslcrl=/crl.pem`, /sslcrl is none/],
    [`${PG}#sslmode=require`, /without #/],
    ['postgres://a%zz@h/d', /every % begins a code/],
    ['postgres://h/d%00options%00-cfsync=off', /without %00/],
    ['mysql://u%00:p@h/d', /without %00/],
    ['postgres://h/d?application_name=a%00user%00postgres', /without %00/],
    ['postgres://a:1,b:2/d', /one host: put a proxy before several/],
    ['postgres://a,b:1/d', /one host/],
    ['postgres://user:p@a,b/d', /one host/],
    ['mysql://a:1,b:2,c:3/d', /one host/],
    ['mariadb://[::1]:1,[::2]:1/d', /one host/],
    ['mysql://a%2Cb/d', /one host/],
    ['postgres://h/d?host=a,b', /one host/],
    ['postgres://u:1/2@h/d', /write # as %23, \/ as %2F/],
    ['mysql://h/a/b', /HOST:PORT/],
    ['postgres://h:0/d', /port is a number from 1/],
    ['postgres://h/d?port=00', /port is a number from 1/],
    ['postgres://h/d?port=x', /whose port is a number$/],
    ['mysql://h/d?charset=latin1', /whose charset is utf8mb4 or one of its collations$/],
    ['mysql://h/d?socketPath=x', /whose socketPath is a path that begins with \/$/],
    ['postgres:///d', /HOST:PORT/],
    ['postgres://h', /DATABASE/],
    ['sqlite:./k.db?mode=ro', /without \? and parameters/],
    ['sqlite:./k.db?sslmode=require', /without \?/],
    ['sqlite::memory:', /there is no :memory:/],
    ['sqlite://data/k.db', /one slash/],
  ] as const) {
    it(`${url} is refused in words`, () => {
      assert.match(databaseUrlProblem(url) ?? 'accepted', problem)
    })
  }

  it('names host, port, user and password in each of the places that drivers know', () => {
    const {
      tls: _,
      others: __,
      ...server
    } = databaseServer('postgres://u:p%40@[::1]:6543/key%20turn')
    const expected = { host: '::1', port: 6543, user: 'u', password: 'p@', database: 'key turn' }
    assert.deepEqual(server, expected)
    const socket = databaseServer(
      'postgresql:///keyturn?host=/run/postgresql&user=u&password=a%25b',
    )
    assert.equal(socket.host, '/run/postgresql')
    assert.equal(socket.password, 'a%b')
    assert.equal(databaseServer('postgres://%2Frun%2Fpg/keyturn').host, '/run/pg')
  })

  it('with a problem is a violation of the configuration that shows no password', (t) => {
    const text = 'database: { url: "mysql://keyturn:s3cret@a:1,b:2/keyturn" }'
    const violations = violationsOf(t, text)
    assert.deepEqual(broken(violations), ['database.url: format'])
    assert.ok(!JSON.stringify(violations).includes('s3cret'))
    const query = violationsOf(t, 'database: { url: "postgres://h/d?password=s3cret&sslmod=x" }')
    assert.deepEqual(broken(query), ['database.url: format'])
    assert.ok(!JSON.stringify(query).includes('s3cret'))
  })
})

describe('a Redis URL', () => {
  for (const [url, tls] of [
    ['redis://cache.example', undefined],
    ['rediss://cache.example', { level: 'verify-full' }],
    ['redis://cache.example?tls=true', { level: 'verify-full' }],
    ['rediss://cache.example?ssl_cert_reqs=none', { level: 'require' }],
    [
      'rediss://cache.example?ssl_cert_reqs=required&ssl_ca_certs=/ca.pem',
      { level: 'verify-full', ca: '/ca.pem' },
    ],
    ['rediss://cache.example?ssl_check_hostname=false', { level: 'verify-ca' }],
    ['rediss://cache.example?verifyPeer=CA', { level: 'verify-ca' }],
    [
      'rediss://cache.example?ssl_certfile=/c.pem&ssl_keyfile=/k.pem',
      { level: 'verify-full', ...FILES },
    ],
    ['rediss://cache.example?sslmode=require', { level: 'require' }],
  ] as const) {
    it(`${url} asks for ${tls?.level ?? 'nothing'}`, () => {
      assert.equal(redisUrlProblem(url), undefined)
      assert.deepEqual(redisServer(url).tls, tls)
    })
  }

  for (const [url, problem] of [
    ['rediss://cache.example?tls=false', /the scheme asks for it, tls forbids it/],
    ['redis://a:1,b:2', /redis.cluster and redis.sentinels/],
    ['redis://a,b:1/0', /redis.cluster and redis.sentinels/],
    ['redis://cache.example?ssl_cert_req=none', /the nearest is sslcertreqs/],
    ['redis://cache.example?socket_timeout=2', /redis.timeout/],
    ['redis://cache.example/1?db=2', /one database/],
    ['redis://cache.example?db=x', /whose db is a number of at most nine digits$/],
    ['redis://cache.example?db=4294967296', /at most nine digits$/],
    ['redis://cache.example/99999999999999999999', /DB behind it/],
    ['redis://cache.example/x', /DB behind it/],
    ['http://cache.example', /redis:/],
  ] as const) {
    it(`${url} is refused in words`, () =>
      assert.match(redisUrlProblem(url) ?? 'accepted', problem))
  }

  it('names its database behind the host or as db', () => {
    assert.equal(redisServer('redis://h/3').number, 3)
    assert.equal(redisServer('redis://h?db=4').number, 4)
    assert.equal(redisServer('redis://h').number, 0)
  })
})

describe('a message about the URL of a server', () => {
  const shownOf = (t: TestContext, setting: 'redis' | 'database', url: string) =>
    violationsOf(t, `${setting}: { url: ${JSON.stringify(url)} }`)
      .map(({ value, message }) => `${value} ${message}`)
      .join()

  it('never has what may be a password', (t) => {
    for (const url of [
      ...['redis://:hunter2', 'redis://h:hunter2/0', 'redis://:hunter2:6379/0', 'redis://:22'],
      ...['redis://h,password=hunter2', 'redis://h:6379,password=hunter2,ssl=1'],
      ...['redis://h?auth=hunter2', 'redis://h?apikey=hunter2', 'redis://h/0?access_key=hunter2'],
      ...[' redis://:hunter2', 'redis:// u:hunter2@h', 'redis://u/u:hunter2@h', 'redis:/:hunter2'],
      ...[
        'redis:///:hunter2',
        'redis://[::1]:hunter2',
        'redis://h:hun/ter2?x',
        'redis://h:12hunter2',
      ],
    ]) {
      const shown = shownOf(t, 'redis', url)
      assert.match(shown, /\*\*\*/, url)
      assert.doesNotMatch(shown, /ter2|:22/, url)
    }
    for (const url of [
      ...['postgres://keyturn:hunter2/keyturn', ' postgres://keyturn:hunter2/keyturn'],
      ...[
        'postgres://h/k?pasword=hunter2',
        'mysql://h/k?pw=hunter2',
        'postgres://h/k?Pssw=hunter2',
      ],
      ...['sqlite:x?key=hunter2', ' sqlite:x?key=hunter2', 'postgres://h/k?credentials=hunter2'],
    ]) {
      const shown = shownOf(t, 'database', url)
      assert.match(shown, /\*\*\*/, url)
      assert.doesNotMatch(shown, /hunter2/, url)
    }
  })

  it('shows host, port and parameters', (t) => {
    for (const url of [
      'redis://h:6379/a',
      'redis://[::1]:6379/a',
      'redis://u@h:1/a',
      'redis://h?a=b',
    ]) {
      assert.ok(shownOf(t, 'redis', url).startsWith(`${url} `), url)
    }
    const url = 'mysql://h:3306/k?sslkey=/k.pem&ssl-key=/k.pem'
    assert.ok(shownOf(t, 'database', url).startsWith(`${url} `))
  })
})
