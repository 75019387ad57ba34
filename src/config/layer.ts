import { COOKIE_RING } from '../ring/policy.ts'
import { isMap, type Path } from '../schema/tree.ts'

/** Lays one source of settings over another, without changing either. */

/**
 * Lays `over` over `base`: maps are merged name by name, and any other value replaces the one
 * below. An empty section (null in YAML) changes nothing.
 * @param path of both values
 */
export function lay(base: unknown, over: unknown, path: Path = []): unknown {
  if (!isMap(base)) return over
  if (over === null || over === undefined) return base
  if (!isMap(over)) return over
  if (path.join('.') === 'rotation.rings') return withCookieRing(base, over)
  const names = [...new Set([...Object.keys(base), ...Object.keys(over)])]
  return Object.fromEntries(
    names.map((name) => [
      name,
      Object.hasOwn(over, name)
        ? lay(Object.hasOwn(base, name) ? base[name] : undefined, over[name], [...path, name])
        : base[name],
    ]),
  )
}

/** Lays `over` over the value of `base` at `path`. */
export function layAt(base: unknown, path: Path, over: unknown): unknown {
  const step = (value: unknown, depth: number): unknown => {
    const name = path[depth]
    if (name === undefined) return lay(value, over, path)
    if (Array.isArray(value) && Object.hasOwn(value, name)) {
      return value.with(Number(name), step(value[Number(name)], depth + 1))
    }
    // A value that is not a section stays, so that it is reported as it was written.
    const map = value === null || value === undefined ? {} : value
    if (!isMap(map)) return value
    return { ...map, [name]: step(map[name], depth + 1) }
  }
  return step(base, 0)
}

/** Every path in a value, those of maps and lists included. */
export function pathsIn(value: unknown, path: Path = []): readonly Path[] {
  const inner = isMap(value) || Array.isArray(value) ? Object.entries(value) : []
  return [path, ...inner.flatMap(([name, child]) => pathsIn(child, [...path, name]))]
}

/** Replaces rings as a whole, so that they can be removed, except for the cookie ring. */
function withCookieRing(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): unknown {
  return Object.hasOwn(over, COOKIE_RING) ? over : { ...over, [COOKIE_RING]: base[COOKIE_RING] }
}
