import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Page } from 'playwright-core'

/** Pages as everybody has to be able to read and use them. */

/** A folder for pictures of each page that is examined. */
const SCREENSHOTS = process.env.KEYTURN_TEST_SCREENSHOTS

/** A small phone, and a usual screen. */
export const NARROW = { width: 360, height: 740 }
export const WIDE = { width: 1280, height: 800 }

/** The rules of axe that are about colours, without those of WCAG's level AAA. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block']

type ColorScheme = 'light' | 'dark'

/**
 * Looks at a page in both colour schemes: nothing that axe objects to, no image missing, and nothing wider
 * than the screen.
 * @param name the page's, in messages and in the names of pictures
 */
export async function examine(page: Page, name: string): Promise<void> {
  await page.waitForLoadState('load')
  const images =
    '[...document.images].filter((image) => image.naturalWidth === 0).map((image) => image.src)'
  assert.deepEqual(await page.evaluate(images), [], `${name} lacks an image`)
  const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
  assert.equal(overflow, 0, `${name} is too wide, by pixels`)

  await page.evaluate(axe.source)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await takePictures(page, `${name}-${colorScheme}`)
    assert.deepEqual(await objections(page, colorScheme), [], `${name}, ${colorScheme}`)
  }
}

/** What axe objects to. In the dark the markup is the same; only colours are looked at again. */
async function objections(page: Page, colorScheme: ColorScheme) {
  const options = colorScheme === 'dark' ? { runOnly: COLOUR_RULES } : {}
  // `axe` is there, as `examine` has run its source; its type is that of the module.
  const { violations } = await page.evaluate(
    (given) => (globalThis as never as { axe: typeof axe }).axe.run(given),
    { ...options, resultTypes: ['violations' as const] },
  )
  return violations.map(({ id, help, nodes }) => ({
    id,
    help,
    at: nodes.map((node) => `${node.html} ${node.failureSummary}`),
  }))
}

async function takePictures(page: Page, name: string): Promise<void> {
  if (!SCREENSHOTS) return
  await mkdir(SCREENSHOTS, { recursive: true })
  const size = page.viewportSize()
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
  await page.setViewportSize(WIDE)
  await page.screenshot({ path: join(SCREENSHOTS, `${name}-wide.png`), fullPage: true })
  if (size) await page.setViewportSize(size)
}
