/**
 * A fair queue. Each item waits in a lane, named by a path such as network, site, address. The
 * lanes of one level take turns, and so do the lanes within each. If an item must be dropped, it is
 * the newest of the longest lane (longest queue drop, McKenney 1990). So a crowd in one lane delays
 * only itself, and a single item in another lane is taken soon.
 */
export interface FairQueue<T> {
  readonly size: number
  put(lane: readonly string[], item: T): void
  /** Takes the next item and moves its lane to the end. */
  take(): T | undefined
  /**
   * Drops the newest item of the longest lane.
   * @param preferred lane to drop from if it is among the longest
   */
  dropFromLongest(preferred: readonly string[]): T | undefined
}

/** Items and inner lanes below one name; the lanes are in the order of their turns. */
interface Lane<T> {
  size: number
  readonly items: T[]
  readonly lanes: Map<string, Lane<T>>
}

export function createFairQueue<T>(): FairQueue<T> {
  const all = createLane<T>()
  return {
    get size() {
      return all.size
    },
    put: (path, item) => put(all, path, item),
    take: () => take(all),
    dropFromLongest: (preferred) => drop(all, preferred),
  }
}

function createLane<T>(): Lane<T> {
  return { size: 0, items: [], lanes: new Map() }
}

function put<T>(lane: Lane<T>, [name, ...rest]: readonly string[], item: T): void {
  lane.size += 1
  if (name === undefined) {
    lane.items.push(item)
    return
  }
  const inner = lane.lanes.get(name) ?? createLane<T>()
  lane.lanes.set(name, inner)
  put(inner, rest, item)
}

function take<T>(lane: Lane<T>): T | undefined {
  if (lane.size === 0) return undefined
  lane.size -= 1
  if (lane.items.length > 0) return lane.items.shift()
  const [[name, inner] = []] = lane.lanes
  if (name === undefined || inner === undefined) return undefined
  const item = take(inner)
  // A map keeps the order of insertion, so this lane becomes the last.
  lane.lanes.delete(name)
  if (inner.size > 0) lane.lanes.set(name, inner)
  return item
}

function drop<T>(lane: Lane<T>, [preferred, ...rest]: readonly string[]): T | undefined {
  if (lane.size === 0) return undefined
  lane.size -= 1
  const sizes = [...lane.lanes.values()].map(({ size }) => size)
  const longest = Math.max(0, ...sizes)
  if (lane.items.length >= longest) return lane.items.pop()
  const isPreferred = preferred !== undefined && lane.lanes.get(preferred)?.size === longest
  const name = isPreferred ? preferred : nameOfSize(lane, longest)
  const inner = lane.lanes.get(name)
  if (!inner) return undefined
  const item = drop(inner, isPreferred ? rest : [])
  if (inner.size === 0) lane.lanes.delete(name)
  return item
}

/** The name of the last lane of this size, whose turn is farthest away. */
function nameOfSize<T>({ lanes }: Lane<T>, size: number): string {
  const names = [...lanes].filter(([, lane]) => lane.size === size).map(([name]) => name)
  return names.at(-1) ?? ''
}
