/** The colour of the deployment on the pages, as far as people can read what has it. */

type Rgb = readonly [red: number, green: number, blue: number]

/** Contrast of text, and of what is no text (WCAG 2.2, 1.4.3 and 1.4.11). */
const TEXT = 4.5
const SHAPE = 3

const BLACK: Rgb = [0, 0, 0]
const WHITE: Rgb = [255, 255, 255]

/**
 * What accented text stands on, by theme, where its contrast is least: `--page-background` in light and
 * `--card-background` in dark of `keyturn.css`.
 */
const BACKGROUNDS: Readonly<Record<'light' | 'dark', Rgb>> = {
  light: [0xf4, 0xf6, 0xf5],
  dark: [0x19, 0x1f, 0x24],
}

/** How much a colour changes at a time on its way to one that can be read. */
const STEP = 0.05
/** How much darker or lighter a button becomes under the pointer. */
const HOVER = 0.12

/**
 * A style sheet that puts an accent in the place of Keyturn's green. Buttons have it as it is, with black or
 * white on it, one of which can always be read; text and outlines get the nearest shade that can.
 * @param color as `#rrggbb`
 */
export function accentStyle(color: string): string {
  const accent = parse(color)
  const onAccent = contrast(accent, WHITE) >= TEXT ? WHITE : BLACK
  const hover = mix(accent, onAccent === WHITE ? BLACK : WHITE, HOVER)
  const rules = (theme: keyof typeof BACKGROUNDS) => {
    const text = readable(accent, BACKGROUNDS[theme], TEXT)
    const edge = readable(accent, BACKGROUNDS[theme], SHAPE)
    return `:root:not([data-theme]) {
  --brand: ${css(text)};
  --pico-primary: ${css(text)};
  --pico-primary-underline: ${css(text)};
  --pico-primary-hover: ${css(text)};
  --pico-primary-hover-underline: ${css(text)};
  --pico-primary-background: ${css(accent)};
  --pico-primary-border: ${css(edge)};
  --pico-primary-hover-background: ${css(hover)};
  --pico-primary-hover-border: ${css(edge)};
  --pico-primary-focus: ${css(text)};
  --pico-primary-inverse: ${css(onAccent)};
  --pico-form-element-active-border-color: ${css(edge)};
  --pico-form-element-focus-color: ${css(text)};
}
`
  }
  return `${rules('light')}
@media (prefers-color-scheme: dark) {
${rules('dark')}}
`
}

/** The colour, or the first shade of it towards black or white that stands out from the background. */
function readable(color: Rgb, background: Rgb, ratio: number): Rgb {
  const towards = contrast(BLACK, background) > contrast(WHITE, background) ? BLACK : WHITE
  let shade = color
  for (let part = STEP; contrast(shade, background) < ratio; part += STEP) {
    shade = mix(color, towards, Math.min(part, 1))
  }
  return shade
}

/** From 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrast(one: Rgb, other: Rgb): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((channel) => {
    const part = channel / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function mix([red, green, blue]: Rgb, other: Rgb, part: number): Rgb {
  const between = (from: number, to: number) => Math.round(from + (to - from) * part)
  return [between(red, other[0]), between(green, other[1]), between(blue, other[2])]
}

/** @param color as `#rrggbb` */
export function parse(color: string): Rgb {
  const channel = (index: number) => Number.parseInt(color.slice(index, index + 2), 16)
  return [channel(1), channel(3), channel(5)]
}

function css(color: Rgb): string {
  return `#${color.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
}
