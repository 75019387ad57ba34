import Koa from 'koa'
import { serveCommands } from '../child.ts'
import { createProfileCommands } from '../profile.ts'
import { readUsage } from '../usage.ts'
import { listen } from './listen.ts'

/** Bare koa that only answers with prepared bytes as `ctx.body`. */

interface Document {
  readonly path: string
  readonly type: string
  readonly text: string
}

const documents = new Map<string, { type: string; body: Buffer }>()
const app = new Koa()
app.use((ctx) => {
  const document = documents.get(ctx.path)
  if (!document) return
  ctx.type = document.type
  ctx.body = document.body
})

serveCommands(await listen(app.callback()), {
  usage: readUsage,
  ...createProfileCommands(),
  publish: ({ path, type, text }: Document) => {
    documents.set(path, { type, body: Buffer.from(text) })
  },
})
