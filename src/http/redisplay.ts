import type { Context } from 'koa'
import type { Limited } from '../accounts/sign-in.ts'
import { inWords } from './waiting.ts'

/** Content of a page that is shown again after a problem. */
export interface Redisplay {
  readonly username?: string
  readonly problem: string
  readonly status: number
}

/** Content of a page, and `Retry-After`, if the person must wait before the next attempt. */
export function limited(ctx: Context, { cause, retryAfter }: Limited): Redisplay {
  ctx.set('Retry-After', String(retryAfter))
  const what = cause === 'busy' ? 'Very many people are signing in.' : 'Too many attempts.'
  return { problem: `${what} Please try again ${inWords(retryAfter)}.`, status: 429 }
}
