import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * The path of a file of the package, such as `config/default.yaml`: beside `src/` in a checkout,
 * beside `dist/` once compiled.
 */
export function packageFile(name: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, name)
    if (existsSync(path)) return path
    if (folder === dirname(folder)) throw new TypeError(`the package has no ${name}`)
  }
}

/** The version in package.json. */
export function packageVersion(): string {
  return JSON.parse(readFileSync(packageFile('package.json'), 'utf8')).version
}
