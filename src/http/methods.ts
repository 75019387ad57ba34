import type { Context } from 'koa'

/**
 * Checks the method of a request. OPTIONS is answered with the allowed methods (RFC 9110, section
 * 9.3.7), and any other method is refused with 405, both with `Allow`.
 * @returns true if the method is allowed and the request has to be handled
 */
export function allowMethods(ctx: Context, methods: readonly string[]): boolean {
  if (methods.includes(ctx.method)) return true
  ctx.set('Allow', [...methods, 'OPTIONS'].join(', '))
  if (ctx.method !== 'OPTIONS') ctx.throw(405)
  ctx.status = 204
  return false
}
