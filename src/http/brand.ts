import { readLogo } from '../config/logo.ts'
import type { Settings } from '../config/schema.ts'
import { accentStyle } from './accent.ts'
import type { StaticFile } from './static-files.ts'

/** Look of the pages of a deployment. */
export interface Brand {
  /** Name of this service on the pages. */
  readonly name: string
  /** Links at the foot of every page. */
  readonly links: readonly { readonly text: string; readonly href: string }[]
  /** Files of the deployment, by the names under which they are served. */
  readonly files: Readonly<Partial<Record<'logo' | 'brand.css', StaticFile>>>
}

/**
 * Policy for the logo, which may be an SVG. As an image an SVG cannot run scripts, but opened by
 * itself it is a document of this origin, so it may load nothing and its scripts do not run.
 */
const LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

/** Reads the logo, once. @throws Error if the file does not exist any more */
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
