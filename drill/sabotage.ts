import { registerHooks } from 'node:module'
import type { Sabotage } from './settings.ts'

/**
 * Loaded into a node before anything else to prove that the drill notices broken bounds: removes
 * the checks of the configuration, and the safeguards of the node that would compensate. The
 * product has no hook for that, so its source is changed while it is loaded.
 */

interface Change {
  readonly file: string
  readonly from: RegExp
  readonly to: string
}

/** Accepts any configuration. */
const NO_BOUNDS: Change = {
  file: '/src/config/bounds.ts',
  from: /(export function brokenBounds\([^)]*\)[^{]*\{)/,
  to: '$1 if (settings) return [];',
}

const CHANGES: Readonly<Record<Sabotage, readonly Change[]>> = {
  propagation: [NO_BOUNDS],
  retention: [
    NO_BOUNDS,
    {
      // No check that a token outlives its key's place in the JWKS.
      file: '/src/ring/lifecycle.ts',
      from: /(export function wouldOutlive\([^)]*\): boolean \{)/,
      to: '$1 return false;',
    },
  ],
  'ring-age': [
    {
      // No limit of the ring's age.
      file: '/src/ring/status.ts',
      from: /if \(age <= maxRingAge\) return undefined/,
      to: 'return undefined',
    },
  ],
}

// The drill sets the variable when it starts a process with this module.
const changes = CHANGES[process.env.DRILL_SABOTAGE as Sabotage]

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const change = changes.find(({ file }) => url.endsWith(file))
    if (!change) return loaded
    const source = String(loaded.source)
    if (!change.from.test(source)) throw new Error(`${url} is not as the sabotage expects it`)
    return { ...loaded, source: source.replace(change.from, change.to) }
  },
})
