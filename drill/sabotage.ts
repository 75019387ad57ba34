import { registerHooks } from 'node:module'
import type { Sabotage } from './settings.ts'

/**
 * Loaded into a node before anything else, where the drill has to prove that it notices: takes the
 * bounds out of the configuration, and out of the node what would make up for them. The product has
 * no hook for that; its source is changed while it is loaded.
 */

interface Change {
  readonly file: string
  readonly from: RegExp
  readonly to: string
}

/** Any configuration goes. */
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
      // Nobody notices that a token outlives its key's place in the JWKS.
      file: '/src/ring/lifecycle.ts',
      from: /(export function wouldOutlive\([^)]*\): boolean \{)/,
      to: '$1 return false;',
    },
  ],
  'ring-age': [
    {
      // However old, the ring will do.
      file: '/src/ring/status.ts',
      from: /if \(age <= maxRingAge\) return undefined/,
      to: 'return undefined',
    },
  ],
}

// The drill sets it where it starts a process with this module.
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
