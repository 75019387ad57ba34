/**
 * The path of a request as the log has it: without the identifier of a sign-in, because knowing it
 * is half of what an attacker needs, and without the query, which may hold codes and tokens.
 * @param url of the request, from its path on
 */
export function loggedPath(url: string): string {
  const [path = ''] = url.split('?', 1)
  return path.replace(STEP, '$1:uid')
}

/** A page of a sign-in, and the addresses from which it goes on; not `/device/auth`. */
const STEP = /(\/(?:interaction|auth|device)\/)(?!auth\/?$)[^/]+\/?$/i
