import type { Context } from 'koa'

/**
 * The methods of a route of ours. OPTIONS is answered with them (RFC 9110, section 9.3.7), and any other
 * method is refused with 405, both with `Allow`.
 * @returns whether the request's method is one of them, so that there is something to do
 */
export function allowMethods(ctx: Context, methods: readonly string[]): boolean {
  if (methods.includes(ctx.method)) return true
  ctx.set('Allow', [...methods, 'OPTIONS'].join(', '))
  if (ctx.method !== 'OPTIONS') ctx.throw(405)
  ctx.status = 204
  return false
}
