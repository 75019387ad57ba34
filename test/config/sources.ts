import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { undoAtExit } from '../../lab/leftovers.ts'
import { type OneIssuerConfig, oneIssuer } from '../../lab/one-issuer.ts'
import type { Environment } from '../../src/config/environment.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ConfigInvalid, type Violation } from '../../src/errors.ts'

/** Writes a file that is gone after the test. @returns its path */
export function temporaryFile(t: TestContext, text: string, name = 'keyturn.yaml'): string {
  const directory = mkdtempSync(join(tmpdir(), 'keyturn-config-'))
  const remove = () => rmSync(directory, { recursive: true })
  const isRemoved = undoAtExit(remove)
  t.after(() => {
    remove()
    isRemoved()
  })
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

/** Loads a config file with this text; without text, the defaults alone. */
export function load(t: TestContext, text: string, env: Environment = {}): OneIssuerConfig {
  return oneIssuer(loadConfig({ file: text === '' ? undefined : temporaryFile(t, text), env }))
}

/** The violations of a config file with this text; none where it is accepted. */
export function violationsOf(
  t: TestContext,
  text: string,
  env: Environment = {},
): readonly Violation[] {
  try {
    load(t, text, env)
    return []
  } catch (error) {
    if (error instanceof ConfigInvalid) return error.violations
    throw error
  }
}

/** Path and rule of each, for comparison. */
export function broken(violations: readonly Violation[]): readonly string[] {
  return violations.map(({ path, rule }) => `${path}: ${rule}`)
}
