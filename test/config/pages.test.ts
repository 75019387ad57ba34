import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { stringify } from 'yaml'
import { startTestServer } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { loadConfig } from '../../src/config/load.ts'
import { LOGO_BYTES_MAX } from '../../src/config/logo.ts'
import { ConfigInvalid, type Violation } from '../../src/errors.ts'
import { createBrand } from '../../src/http/brand.ts'

async function check(settings: object): Promise<readonly Violation[]> {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'keyturn.yaml')
  await writeFile(file, stringify(settings))
  try {
    loadConfig({ file, env: {} })
    return []
  } catch (error) {
    if (error instanceof ConfigInvalid) return error.violations
    throw error
  }
}

const SVG = '\ufeff<?xml version="1.0"?>\n<!-- > -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

describe('the look of pages', () => {
  it('tells the type of a logo by its content', async () => {
    await using folder = await temporaryFolder()
    const files: readonly (readonly [string, string | Buffer, string])[] = [
      ['logo.svg', SVG, 'image/svg+xml'],
      ['named-otherwise.txt', PNG, 'image/png'],
      ['logo', Buffer.from('ffd8ffe000104a46', 'hex'), 'image/jpeg'],
      ['logo.webp', 'RIFF\x10\0\0\0WEBPVP8 ', 'image/webp'],
    ]
    for (const [name, content, type] of files) {
      const logo = join(folder.path, name)
      await writeFile(logo, content)
      assert.deepEqual(await check({ pages: { logo } }), [])
      const { pages } = loadConfig({ env: { KEYTURN_PAGES__LOGO: logo } })
      assert.equal(createBrand(pages).files.logo?.type, type)
    }
  })

  it('refuses a logo with the reason', async () => {
    await using folder = await temporaryFolder()
    const logo = join(folder.path, 'logo.svg')
    const told = async () => {
      const [violation, ...others] = await check({ pages: { logo } })
      assert.equal(violation?.path, 'pages.logo')
      assert.deepEqual(others, [])
      return violation.message
    }
    assert.match(await told(), /ENOENT/)
    for (const odd of ['<html><svg/></html>', 'GIF89a', '', '<svgx/>']) {
      await writeFile(logo, odd)
      assert.match(await told(), /SVG, PNG, JPEG or WebP/, odd)
    }
    await writeFile(logo, SVG + ' '.repeat(LOGO_BYTES_MAX))
    assert.match(await told(), /at most 262144 bytes/)
  })

  it('accepts a colour in one spelling, and proposes that spelling', async () => {
    assert.deepEqual(await check({ pages: { color: '#00875a' } }), [])
    for (const [color, instead] of [
      ['#00875A', '#00875a'],
      ['00875a', '#00875a'],
      ['#0Bf', '#00bbff'],
    ] as const) {
      const [violation] = await check({ pages: { color } })
      assert.equal(violation?.path, 'pages.color')
      assert.ok(violation?.fix.includes(instead), violation?.fix)
    }
    for (const color of ['green', '#00875a80', 'red;}*{display:none', '']) {
      assert.equal((await check({ pages: { color } }))[0]?.path, 'pages.color', color)
    }
  })

  it('accepts links to pages and addresses, and none that runs code', async () => {
    const links = { privacy: 'https://a.example/privacy', support: 'mailto:help@a.example' }
    assert.deepEqual(await check({ pages: { links } }), [])
    for (const support of [
      'javascript:alert(1)',
      'data:text/html,x',
      'help@a.example',
      'https:',
      'https://a..b',
    ]) {
      const [violation] = await check({ pages: { links: { support } } })
      assert.equal(violation?.path, 'pages.links.support', support)
    }
  })

  it('accepts descriptions of scopes that an API has, and no others', async () => {
    const api = (scopeDescriptions: object) => ({
      resources: [{ identifier: 'https://api.example', scopes: ['read'], scopeDescriptions }],
    })
    assert.deepEqual(await check(api({ read: 'see your orders' })), [])
    const [violation] = await check(api({ reed: 'see your orders' }))
    assert.equal(violation?.path, 'resources.0.scopeDescriptions.reed')
    assert.match(violation?.fix ?? '', /resources\.0\.scopes/)
  })
})

it('files of a deployment are served under the hash of their content, and an SVG cannot run code', async () => {
  const logo = join(import.meta.dirname, '../support/logo.svg')
  await using keyturn = await startTestServer({
    path: '/op',
    settings: { pages: { name: 'Sunny', logo, color: '#ffd500' } },
  })
  const page = await (await fetch(`${keyturn.issuer}/`)).text()
  assert.match(page, /<title>[^<]* - Sunny<\/title>/)
  const linked = (name: string) =>
    new RegExp(`"(/op/static/${name}\\?v=[\\da-f]{12})"`).exec(page)?.[1] ?? ''
  for (const [name, type] of [
    ['logo', 'image/svg+xml'],
    ['brand.css', 'text/css'],
  ] as const) {
    const url = new URL(linked(name), keyturn.issuer)
    const answer = await fetch(url)
    assert.equal(answer.status, 200)
    assert.ok(answer.headers.get('content-type')?.startsWith(type))
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    assert.match(answer.headers.get('cache-control') ?? '', /immutable/)
    const head = await fetch(url, { method: 'HEAD' })
    assert.equal(head.headers.get('content-length'), answer.headers.get('content-length'))
    assert.equal((await fetch(url, { method: 'POST' })).status, 405)
  }
  const image = await fetch(new URL(linked('logo'), keyturn.issuer))
  assert.match(image.headers.get('content-security-policy') ?? '', /default-src 'none'.*sandbox/)
})
