import type { Violation } from '../../errors.ts'
import { formatDuration as text } from '../../values/duration-text.ts'
import type { ClientContext } from '../context.ts'
import type { ClientRule, RuledClient } from './rule.ts'

/**
 * Bounds on a client's own lifetimes. `config/bounds.ts` checks those of configured clients,
 * together with all lifetimes of the configuration; a client that a command adds must stay within
 * them.
 */
export const LIFETIME_RULES: readonly ClientRule[] = [
  { needs: [], check: tokenRule },
  { needs: [], check: grantRule },
]

function tokenRule(client: RuledClient, { longest }: ClientContext): readonly Violation[] {
  if (!longest) return []
  return (['access_token_lifetime', 'id_token_lifetime'] as const).flatMap((path) => {
    const { [path]: lifetime } = client
    if (lifetime === undefined || lifetime <= longest.token) return []
    const message =
      `tokens would be valid for ${text(lifetime)}, but a retired key may leave the JWKS ` +
      `${text(longest.token)} after it signed them (rotation.retention)`
    const more = text(lifetime + longest.margin)
    const fix = `set ${path} to at most ${text(longest.token)}, or rotation.retention to at least ${more}`
    return [{ path, value: text(lifetime), rule: 'retention', message, fix }]
  })
}

function grantRule(client: RuledClient, { longest }: ClientContext): readonly Violation[] {
  const path = 'refresh_token_lifetime'
  const { [path]: lifetime } = client
  if (!longest || lifetime === undefined || lifetime <= longest.grant) return []
  const message = `grants end after ${text(longest.grant)} (tokens.grant), before these refresh tokens`
  const fix = `set ${path} to at most ${text(longest.grant)}, or tokens.grant to at least ${text(lifetime)}`
  return [{ path, value: text(lifetime), rule: 'grant', message, fix }]
}
