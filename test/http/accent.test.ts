import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { accentStyle, contrast, parse } from '../../src/http/accent.ts'

/** WCAG 2.2, 1.4.3 (text) and 1.4.11 (what is no text). */
const TEXT = 4.5
const SHAPE = 3

/** What text and shapes of an accent stand on, from `views/static/keyturn.css`. */
const BACKGROUNDS = { light: ['#ffffff', '#f4f6f5'], dark: ['#191f24', '#11161a', '#12181c'] }

/** The variables of each theme. */
function themesOf(style: string): Record<'light' | 'dark', Record<string, string>> {
  const [light = '', dark = ''] = style.split('@media')
  const variables = (text: string) =>
    Object.fromEntries([...text.matchAll(/--([\w-]+): (#[\da-f]{6});/g)].map(([, k, v]) => [k, v]))
  return { light: variables(light), dark: variables(dark) }
}

const ratio = (one = '', other = '') => contrast(parse(one), parse(other))

describe('an accent', () => {
  it('of any colour can be read, on buttons and as text, in both themes', () => {
    const channel = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(fc.tuple(channel, channel, channel), (rgb) => {
        const color = `#${rgb.map((part) => part.toString(16).padStart(2, '0')).join('')}`
        const themes = themesOf(accentStyle(color))
        for (const theme of ['light', 'dark'] as const) {
          const set = themes[theme]
          assert.equal(set['pico-primary-background'], color)
          const inverse = set['pico-primary-inverse']
          assert.ok(ratio(inverse, color) >= TEXT, `${color}: its button`)
          const hover = set['pico-primary-hover-background']
          assert.ok(ratio(inverse, hover) >= TEXT, `${color}: its button under the pointer`)
          for (const background of BACKGROUNDS[theme]) {
            for (const name of ['brand', 'pico-primary', 'pico-primary-hover']) {
              assert.ok(ratio(set[name], background) >= TEXT, `${color}: ${name} on ${background}`)
            }
            const border = set['pico-primary-border']
            assert.ok(ratio(border, background) >= SHAPE, `${color}: edge on ${background}`)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('that can be read stays as it is', () => {
    const { light } = themesOf(accentStyle('#00506b'))
    assert.equal(light.brand, '#00506b')
    assert.equal(light['pico-primary-inverse'], '#ffffff')
    assert.equal(themesOf(accentStyle('#ffd500')).dark.brand, '#ffd500')
  })

  it('is compared as WCAG has it', () => {
    assert.equal(ratio('#ffffff', '#000000'), 21)
    assert.equal(ratio('#777777', '#ffffff').toFixed(2), '4.48')
    assert.equal(ratio('#00875a', '#00875a'), 1)
  })
})
