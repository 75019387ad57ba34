import { type Profiler, Session } from 'node:inspector/promises'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Share of a thread's busy time, from 0 to 1. */
export interface TimeShare {
  readonly name: string
  readonly share: number
}

export interface ProfileSummary {
  /** Shares by part: source file, package, or Node's own name. */
  readonly parts: readonly TimeShare[]
  /** Shares by function. */
  readonly functions: readonly TimeShare[]
}

/** Commands of a server under test that measure self time between two calls. */
export function createProfileCommands() {
  const session = new Session()
  return {
    'start-profile': async () => {
      session.connect()
      await session.post('Profiler.enable')
      await session.post('Profiler.setSamplingInterval', { interval: 250 })
      await session.post('Profiler.start')
    },
    'stop-profile': async () => {
      const { profile } = await session.post('Profiler.stop')
      session.disconnect()
      return summarize(profile)
    },
  }
}

type Frame = Profiler.ProfileNode['callFrame']

/** Frames that are no work of the server: waiting, and the profiler itself. */
const LEFT_OUT = ['(idle)', '(root)', 'post node:inspector']

function summarize({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): ProfileSummary {
  const selfTimes = new Map<number, number>()
  for (const [index, id] of samples.entries()) {
    selfTimes.set(id, (selfTimes.get(id) ?? 0) + Math.max(0, timeDeltas[index] ?? 0))
  }
  const frames = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((c) => [c, id])))

  /** The frame itself, or else the nearest caller outside Node. */
  const ownerOf = (id: number): Frame | undefined => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = frames.get(at)
      if (frame?.url.startsWith('file:')) return frame
    }
    return undefined
  }

  const parts = new Map<string, number>()
  const functions = new Map<string, number>()
  let total = 0
  for (const [id, time] of selfTimes) {
    const frame = frames.get(id)
    if (!frame || LEFT_OUT.some((text) => nameOf(frame).startsWith(text))) continue
    const owner = ownerOf(id)
    total += time
    add(parts, owner ? partOf(owner) : (/^\(.*\)$/.exec(frame.functionName)?.[0] ?? 'node'), time)
    const asked = owner && owner !== frame ? `${nameOf(owner)} > ` : ''
    add(functions, `${asked}${nameOf(frame)}`, time)
  }
  return { parts: shares(parts, total), functions: shares(functions, total) }
}

/** The source file or the package of a frame. */
function partOf({ url }: Frame): string {
  const file = pathOf(url)
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? file
}

function nameOf({ functionName, url, lineNumber }: Frame): string {
  const name = functionName || '(anonymous)'
  if (url === '') return name
  return `${name} ${pathOf(url).replace(/.*node_modules\//, '')}:${lineNumber + 1}`
}

function pathOf(url: string): string {
  if (!url.startsWith('file:')) return url
  return relative(join(import.meta.dirname, '..'), fileURLToPath(url))
    .split(sep)
    .join('/')
}

function add(sums: Map<string, number>, name: string, time: number): void {
  sums.set(name, (sums.get(name) ?? 0) + time)
}

function shares(sums: ReadonlyMap<string, number>, total: number): readonly TimeShare[] {
  return [...sums]
    .map(([name, time]) => ({ name, share: time / total }))
    .sort((a, b) => b.share - a.share)
}
