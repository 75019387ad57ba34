import type { IncomingMessage } from 'node:http'

/** What came of waiting for the content of a request. */
export type Content = { readonly text: string } | 'too-large' | 'broken'

/**
 * Waits for the content of a request, and puts it back so that whoever parses it finds it as it came.
 * Thus a request costs nothing but memory, of which there is a bound, until its slow or broken client
 * has sent all of it.
 * @param most bytes
 */
export async function awaitContent(request: IncomingMessage, most: number): Promise<Content> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > most) return 'too-large'
  // What came in one packet with the header is here a moment later: no listener is needed.
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
    // Before the stream notices that it was read to its end, which it does a moment later.
    const content = size === 0 ? EMPTY : Buffer.concat(chunks, size)
    request.unshift(content)
    iterateAtOnce(request)
    resolve({ text: content.toString('latin1') })
  }
  const broken = () => resolve('broken')
  request.on('readable', take).on('error', broken).on('close', broken)
  const content = await promise
  // `error` is heard to the end: a client that breaks off later must be nobody's uncaught error.
  request.off('readable', take).off('close', broken)
  return content
}

/**
 * oidc-provider reads content by the iterator of its stream (lib/shared/selective_body.js). That of Node
 * is made for what is still on the way, and costs more than the rest of reading a form.
 */
function iterateAtOnce(request: IncomingMessage): void {
  const iterate = function* (): Generator<Buffer> {
    const content: Buffer | null = request.read()
    if (content !== null) yield content
  }
  // `for await` takes an iterator of what is there as well, which the type does not say.
  request.iterator = iterate as unknown as IncomingMessage['iterator']
}

/** A form without fields: nothing at all cannot be put back. */
const EMPTY = Buffer.from('&')

/** Does the request have content? Without both header fields there is none (RFC 9112, section 6.3). */
export function hasContent({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  return encoding !== undefined || (length !== undefined && Number(length) > 0)
}
