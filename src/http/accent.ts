/** The deployment's colour on pages, adjusted so that text in it can be read. */

type Rgb = readonly [red: number, green: number, blue: number]

/** Least contrast of text and of shapes (WCAG 2.2, 1.4.3 and 1.4.11). */
const TEXT = 4.5
const SHAPE = 3

const BLACK: Rgb = [0, 0, 0]
const WHITE: Rgb = [255, 255, 255]

/**
 * Background with the least contrast to accented text, by theme: `--page-background` in light and
 * `--card-background` in dark of `keyturn.css`.
 */
const BACKGROUNDS: Readonly<Record<'light' | 'dark', Rgb>> = {
  light: [0xf4, 0xf6, 0xf5],
  dark: [0x19, 0x1f, 0x24],
}

/** Part by which a colour is mixed with black or white per step until it can be read. */
const MIX_STEP = 0.05
/** Part by which a button becomes darker or lighter under the pointer. */
const HOVER = 0.12

/**
 * A style sheet that replaces Keyturn's green by an accent. Buttons have the accent itself with
 * black or white text, one of which can always be read; text and outlines get the nearest readable
 * shade.
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

/**
 * The colour, or the first shade of it towards black or white that stands out from the background.
 */
function readable(color: Rgb, background: Rgb, ratio: number): Rgb {
  const towards = contrast(BLACK, background) > contrast(WHITE, background) ? BLACK : WHITE
  let shade = color
  for (let part = MIX_STEP; contrast(shade, background) < ratio; part += MIX_STEP) {
    shade = mix(color, towards, Math.min(part, 1))
  }
  return shade
}

/** The contrast ratio of two colours, from 1 to 21 (WCAG 2.2). */
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
