import type { IncomingMessage } from 'node:http'

/** The content of a request, or why there is none. */
export type Content = { readonly text: string } | 'too-large' | 'broken'

/**
 * Waits for the content of a request, and puts it back so that later parsers find it unchanged.
 * Until a slow client has sent everything, its request costs only memory, which is bounded.
 * @param most bytes
 */
export async function awaitContent(request: IncomingMessage, most: number): Promise<Content> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > most) return 'too-large'
  // Content in the same packet as the header is readable one microtask later, without a listener.
  await undefined
  if (length > 0 && request.readableLength === length && !request.destroyed) {
    // The stream has no encoding, so these are bytes.
    const content: Buffer = request.read()
    request.unshift(content)
    iterateAtOnce(request)
    return { text: content.toString('latin1') }
  }
  const chunks: Buffer[] = []
  let size = 0
  const { promise, resolve } = Promise.withResolvers<Content>()

  const take = () => {
    for (;;) {
      // The stream has no encoding, so these are bytes.
      const chunk: Buffer | null = request.read()
      if (chunk === null) break
      chunks.push(chunk)
      size += chunk.length
      if (size > most) return resolve('too-large')
    }
    if (!request.complete) return
    // Put back before the stream emits `end`, which happens one tick later.
    const content = size === 0 ? EMPTY : Buffer.concat(chunks, size)
    request.unshift(content)
    iterateAtOnce(request)
    resolve({ text: content.toString('latin1') })
  }
  const broken = () => resolve('broken')
  request.on('readable', take).on('error', broken).on('close', broken)
  const content = await promise
  // `error` keeps its listener, so that a client that breaks off later causes no uncaught error.
  request.off('readable', take).off('close', broken)
  return content
}

/**
 * Replaces the stream's iterator, by which oidc-provider reads content
 * (lib/shared/selective_body.js). Node's iterator is made for data that is still arriving, and
 * costs more than the rest of reading a form.
 */
function iterateAtOnce(request: IncomingMessage): void {
  const iterate = function* (): Generator<Buffer> {
    const content: Buffer | null = request.read()
    if (content !== null) yield content
  }
  // `for await` accepts a synchronous iterator too, which the type lacks.
  request.iterator = iterate as unknown as IncomingMessage['iterator']
}

/** A form without fields, because an empty buffer cannot be put back. */
const EMPTY = Buffer.from('&')

/**
 * True if the request has content; without both header fields it has none (RFC 9112, section 6.3).
 */
export function hasContent({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  return encoding !== undefined || (length !== undefined && Number(length) > 0)
}
