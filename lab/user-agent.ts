import assert from 'node:assert/strict'

/**
 * A browser without a screen: follows redirects by hand, keeps cookies by path, fills in forms. For
 * flows in which a real browser would only cost time; `test/browser` uses a real one.
 */
export function createUserAgent() {
  const jar = new Map<string, { value: string; path: string }>()

  async function request(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url)
    const cookies = [...jar].flatMap(([key, { value, path }]) =>
      pathname.startsWith(path) ? [`${key.slice(key.indexOf(' ') + 1)}=${value}`] : [],
    )
    const headers = new Headers(init.headers)
    headers.set('accept', 'text/html')
    if (cookies.length > 0) headers.set('cookie', cookies.join('; '))
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) store(cookie)
    return response
  }

  function store(text: string): void {
    const [pair = '', ...attributes] = text.split(/;\s*/)
    const name = pair.slice(0, pair.indexOf('='))
    const value = pair.slice(pair.indexOf('=') + 1)
    const attribute = (wanted: string) =>
      attributes.find((a) => a.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1)
    const path = attribute('path') ?? '/'
    const key = `${path} ${name}`
    const expires = attribute('expires')
    if (value === '' || (expires && Date.parse(expires) < Date.now())) jar.delete(key)
    else jar.set(key, { value, path })
  }

  return {
    request,
    cookies: jar,
    /** Follows redirects until a page, or a location outside `origin`. */
    async open(
      url: string,
      origin: string,
      init?: RequestInit,
    ): Promise<{ url: string; page: Response | undefined }> {
      let at = url
      let response = await request(at, init)
      for (let hops = 0; hops < 10; hops++) {
        const location = response.headers.get('location')
        if (!location) return { url: at, page: response }
        at = new URL(location, at).href
        if (!at.startsWith(origin)) return { url: at, page: undefined }
        response = await request(at)
      }
      throw new Error(`too many redirects, at ${at}`)
    },
    /** Posts a form as a page of `origin` would. */
    submit(url: string, origin: string, fields: Record<string, string>) {
      return this.open(url, origin, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin },
        body: new URLSearchParams(fields),
      })
    },
  }
}

export type UserAgent = ReturnType<typeof createUserAgent>

/**
 * Goes through sign-in and consent, if asked, to the client's redirect URI.
 * @returns the final location, and the steps that were asked
 */
export async function signIn(
  agent: UserAgent,
  authorizationUrl: string,
  person: { username: string; password: string },
): Promise<{ callback: URL; steps: readonly string[] }> {
  const { origin } = new URL(authorizationUrl)
  const steps: string[] = []
  let { url, page } = await agent.open(authorizationUrl, origin)
  for (let step = 0; page; step++) {
    const text = await page.text()
    assert.ok(step < 5, `no way through:\n${text}`)
    assert.equal(page.status, 200, text)
    const isSignIn = text.includes('name="password"')
    steps.push(isSignIn ? 'sign-in' : 'consent')
    const fields = isSignIn ? { ...person, action: 'sign-in' } : { action: 'allow' }
    ;({ url, page } = await agent.submit(url, origin, fields))
  }
  return { callback: new URL(url), steps }
}
