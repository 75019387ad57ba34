/**
 * A line in which nobody gets far by coming often. Each item waits in a lane, named by a path such as
 * network, site, address. The lanes of one level take turns, and so do those within each; if one has
 * to go, it is the newest of the longest lane (longest queue drop, McKenney 1990). A crowd in one lane
 * therefore waits for itself, and one who comes alone from elsewhere is next but for a few.
 */
export interface FairQueue<T> {
  readonly size: number
  put(lane: readonly string[], item: T): void
  /** Takes out the next one, whose lane then goes to the end. */
  take(): T | undefined
  /**
   * Takes out the newest of the longest lane.
   * @param preferred is that lane where others are as long
   */
  dropFromLongest(preferred: readonly string[]): T | undefined
}

/** All that waits below one name: items in its own line, and lanes in the order of their turns. */
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
  // A map keeps the order of insertion: this lane is now the last.
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

/** The last that has this size: it came later than the others. */
function nameOfSize<T>({ lanes }: Lane<T>, size: number): string {
  const names = [...lanes].filter(([, lane]) => lane.size === size).map(([name]) => name)
  return names.at(-1) ?? ''
}
