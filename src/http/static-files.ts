import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Middleware } from 'koa'
import mount from 'koa-mount'
import serve from 'koa-static'
import { packageFile } from '../package-files.ts'
import { allowMethods } from './methods.ts'

/** A file of the deployment, not of the package. */
export interface StaticFile {
  readonly body: Buffer
  /** Media type. */
  readonly type: string
  readonly headers?: Readonly<Record<string, string>>
}

type StaticFiles = Readonly<Partial<Record<string, StaticFile>>>

const PATH = '/static'
const YEAR = 31_536_000
/** Hexadecimal characters of a hash; 48 bits are enough to tell the versions of a file apart. */
const VERSION_LENGTH = 12

/** Makes addresses below `mountPath` with the hash of the content: `/static/keyturn.css?v=...`. */
export function staticLinks(mountPath: string, own: StaticFiles): (file: string) => string {
  const versions = readVersions(own)
  return (file) => `${mountPath}${PATH}/${file}?v=${versions.get(file)}`
}

/**
 * Serves `views/static` and the deployment's own files at `/static`. Pages link files with the hash
 * of their content, so such answers may be cached for ever. During an update a node may be asked
 * for a version that it does not have; its answer may then be cached for a minute only.
 */
export function staticFiles(own: StaticFiles = {}): Middleware {
  const versions = readVersions(own)
  const send = serve(join(packageFile('views'), 'static'), { index: false })

  return mount(PATH, async (ctx, next) => {
    const name = ctx.path.slice(1)
    if (versions.has(name) && !allowMethods(ctx, ['GET', 'HEAD'])) return
    // A path may have any name, such as one of a property that every object has.
    const file = Object.hasOwn(own, name) ? own[name] : undefined
    if (file) {
      ctx.set({ ...file.headers })
      ctx.type = file.type
      ctx.body = file.body
    } else {
      let isOurs = true
      await send(ctx, () => {
        isOurs = false
        return next()
      })
      if (!isOurs) return
    }
    const isThisVersion = ctx.query.v === versions.get(name)
    ctx.set({
      'Cache-Control': isThisVersion ? `public, max-age=${YEAR}, immutable` : 'public, max-age=60',
      'X-Content-Type-Options': 'nosniff',
    })
  })
}

function readVersions(own: StaticFiles): ReadonlyMap<string, string> {
  const directory = join(packageFile('views'), 'static')
  const packaged = readdirSync(directory).map(
    (file) => [file, readFileSync(join(directory, file))] as const,
  )
  const others = Object.entries(own).flatMap(([file, one]) =>
    one ? [[file, one.body] as const] : [],
  )
  return new Map(
    [...packaged, ...others].map(([file, content]) => [
      file,
      createHash('sha256').update(content).digest('hex').slice(0, VERSION_LENGTH),
    ]),
  )
}
