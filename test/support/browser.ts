import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

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
