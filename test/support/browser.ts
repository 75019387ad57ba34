import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** The Chromium of the machine; the environment variable CHROMIUM names another. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'

/**
 * For the `skip` option of a test: why no browser can be had, or false. In CI there has to be one,
 * and the tests fail without.
 */
export function missingBrowser(): string | false {
  if (existsSync(EXECUTABLE) || process.env.CI) return false
  return `there is no ${EXECUTABLE}; install Chromium, or set CHROMIUM to its path`
}

/** A headless browser that is closed at the end of the block, its profile with it. */
export async function launchBrowser(): Promise<{ readonly browser: Browser } & AsyncDisposable> {
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  return { browser, [Symbol.asyncDispose]: () => browser.close() }
}

/** A fresh profile with one tab. */
export interface Tab extends AsyncDisposable {
  readonly page: Page
  /** What its console complains of, such as the content security policy. */
  readonly problems: readonly string[]
}

/** How long an element or an address is waited for, in milliseconds. */
const PATIENCE = 15_000

export async function openTab(browser: Browser, context: BrowserContextOptions = {}): Promise<Tab> {
  const profile = await browser.newContext(context)
  const page = await profile.newPage()
  page.setDefaultTimeout(PATIENCE)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    // A wrong password is answered with 401, which the console reports as well.
    const isAnswer = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isAnswer) problems.push(message.text())
  })
  return { page, problems, [Symbol.asyncDispose]: () => profile.close() }
}
