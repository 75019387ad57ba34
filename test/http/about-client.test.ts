import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { aboutClient, wayBack } from '../../src/http/about-client.ts'
import { createViews } from '../../src/http/views.ts'

const ISSUER = 'https://op.example/below'

describe('what a page says of a client', () => {
  it('is what the client registered', () => {
    const about = aboutClient({
      clientId: 'shop',
      clientName: 'The shop',
      clientUri: 'https://shop.example/',
      logoUri: 'https://cdn.example/shop.svg',
      policyUri: 'https://shop.example/privacy',
      tosUri: 'https://shop.example/terms',
    })
    assert.deepEqual(about, {
      name: 'The shop',
      home: 'https://shop.example/',
      logo: 'https://cdn.example/shop.svg',
      links: [
        { text: 'Privacy policy', href: 'https://shop.example/privacy' },
        { text: 'Terms of service', href: 'https://shop.example/terms' },
      ],
    })
  })

  it('leaves out what is no page, and images that anybody on the way could change', () => {
    const script = 'javascript:alert(1)'
    for (const odd of [script, 'data:text/html,x', 'ftp://shop.example/', 'shop.example', '']) {
      const uris = { clientUri: odd, logoUri: odd, policyUri: odd, tosUri: odd }
      const { home, logo, links } = aboutClient({ clientId: 'shop', ...uris })
      assert.deepEqual({ home, logo, links }, { home: undefined, logo: undefined, links: [] }, odd)
    }
    const logoOf = (logoUri: string) => aboutClient({ clientId: 'shop', logoUri }).logo
    assert.equal(logoOf('http://shop.example/logo.png'), undefined)
    assert.equal(logoOf('http://localhost:3001/logo.png'), 'http://localhost:3001/logo.png')
  })
})

describe('the way back to a client', () => {
  const clientId = 'shop'

  it('leads to where it begins a sign-in, with the issuer, and else to its home page', () => {
    const clientUri = 'https://shop.example/'
    const initiateLoginUri = 'https://shop.example/login?tenant=1&iss=https%3A%2F%2Fevil.example'
    assert.deepEqual(wayBack({ clientId, clientUri, initiateLoginUri }, ISSUER), {
      text: 'Start again at shop',
      href: 'https://shop.example/login?tenant=1&iss=https%3A%2F%2Fop.example%2Fbelow',
    })
    assert.deepEqual(wayBack({ clientId, clientName: 'Shop', clientUri }, ISSUER), {
      text: 'Back to Shop',
      href: clientUri,
    })
  })

  it('leads nowhere where the client told nothing of itself, or is unknown', () => {
    assert.equal(wayBack({ clientId }, ISSUER), undefined)
    assert.equal(wayBack({ clientId, clientUri: 'javascript:x' }, ISSUER), undefined)
    assert.equal(wayBack(undefined, ISSUER), undefined)
  })
})

describe('the logo of a client', () => {
  /** The policy of a sign-in page for a client with this logo. */
  function policyFor(logoUri: string): string {
    const headers: Record<string, string> = {}
    const context = {
      type: '',
      status: 200,
      body: undefined as unknown,
      set: (fields: object) => void Object.assign(headers, fields),
    }
    const client = aboutClient({ clientId: 'shop', logoUri })
    // A page needs no more of koa's context than this.
    createViews().render(context as never, 'sign-in', { client, username: '', xsrf: 'x' })
    assert.equal(String(context.body).includes('class="client-logo"'), client.logo !== undefined)
    return headers['Content-Security-Policy'] ?? ''
  }
  const images = (policy: string) => /img-src ([^;]*)/.exec(policy)?.[1]

  it('is the only image that its page may load from elsewhere', () => {
    const policy = policyFor('https://cdn.example:8443/logos/shop.svg?size=2')
    assert.equal(images(policy), "'self' data: https://cdn.example:8443/logos/shop.svg")
    assert.equal(images(policyFor('http://cdn.example/shop.svg')), "'self' data:")
  })

  it('cannot add to the policy', () => {
    for (const odd of [
      "https://cdn.example/a;script-src 'unsafe-inline'",
      'https://cdn.example/a, script-src *',
      'https://cdn.example/a\n\nx',
    ]) {
      const policy = policyFor(odd)
      const directives = policy.split('; ').map((directive) => directive.split(' ', 1)[0])
      assert.deepEqual(directives, [
        ...['default-src', 'style-src', 'img-src', 'script-src', 'form-action'],
        ...['frame-ancestors', 'base-uri'],
      ])
      assert.match(images(policy) ?? '', /^'self' data: https:\/\/cdn\.example\/a[\w%*-]*$/)
      assert.ok(policy.includes("script-src 'self';"))
    }
  })
})
