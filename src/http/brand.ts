import { readLogo } from '../config/logo.ts'
import type { Settings } from '../config/schema.ts'
import { accentStyle } from './accent.ts'
import type { StaticFile } from './static-files.ts'

/** What a deployment makes the pages look like. */
export interface Brand {
  /** What the pages call this service. */
  readonly name: string
  /** At the foot of every page. */
  readonly links: readonly { readonly text: string; readonly href: string }[]
  /** Files of the deployment, by the names under which they are served. */
  readonly files: Readonly<Partial<Record<'logo' | 'brand.css', StaticFile>>>
}

/**
 * An SVG is shown as an image, where it can do nothing. Opened by itself it is a document of ours, so
 * it may load nothing, and scripts in it do not run.
 */
const LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

/** Reads the logo, once. @throws Error where the file is not there any more */
export function createBrand({ name, logo, color, links }: Settings['pages']): Brand {
  const { body, type } = logo === null ? {} : readLogo(logo)
  return {
    name,
    links: [
      { text: 'Privacy', href: links.privacy },
      { text: 'Terms', href: links.terms },
      { text: 'Support', href: links.support },
    ].flatMap(({ text, href }) => (href === null ? [] : [{ text, href }])),
    files: {
      ...(body && type
        ? { logo: { body, type, headers: { 'Content-Security-Policy': LOGO_POLICY } } }
        : {}),
      ...(color === null
        ? {}
        : { 'brand.css': { body: Buffer.from(accentStyle(color)), type: 'text/css' } }),
    },
  }
}

/** Keyturn's own look. */
export const PLAIN: Brand = { name: 'Keyturn', links: [], files: {} }
