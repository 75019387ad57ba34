import { COOKIE_RING } from '../ring/policy.ts'
import { isMap, type Path } from '../schema/tree.ts'

/** How one source of settings is laid over another. Values are never changed in place. */

/**
 * `over` laid over `base`: maps are joined name by name, anything else replaces what was there. A
 * section with nothing in it (null in YAML) says nothing.
 * @param path where both stand
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

/** `over` laid over what stands in `base` at `path`. */
export function layAt(base: unknown, path: Path, over: unknown): unknown {
  const step = (value: unknown, depth: number): unknown => {
    const name = path[depth]
    if (name === undefined) return lay(value, over, path)
    if (Array.isArray(value) && Object.hasOwn(value, name)) {
      return value.with(Number(name), step(value[Number(name)], depth + 1))
    }
    // What is no section stays, so that it is reported as it was written.
    const map = value === null || value === undefined ? {} : value
    if (!isMap(map)) return value
    return { ...map, [name]: step(map[name], depth + 1) }
  }
  return step(base, 0)
}

/** Every path in a value, of maps and lists too. */
export function pathsIn(value: unknown, path: Path = []): readonly Path[] {
  const inner = isMap(value) || Array.isArray(value) ? Object.entries(value) : []
  return [path, ...inner.flatMap(([name, child]) => pathsIn(child, [...path, name]))]
}

/** Rings are replaced as a whole, so that they can be removed; but there is always a cookie ring. */
function withCookieRing(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): unknown {
  return Object.hasOwn(over, COOKIE_RING) ? over : { ...over, [COOKIE_RING]: base[COOKIE_RING] }
}
