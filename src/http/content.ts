import type { IncomingMessage } from 'node:http'

/** The content of a request, or why there is none. */
export type Content = { readonly text: string } | 'too-large' | 'broken'

/**
 * Waits for the content of a request, and puts it back so that later parsers find it unchanged.
 * Until a slow client has sent everything, its request costs only memory, which is bounded.
 * @param most bytes
 * @param then called with the content, never within this call; a callback, because the promises of
 * `async` functions cost each form as much as reading it
 */
export function awaitContent(
  request: IncomingMessage,
  most: number,
  then: (content: Content) => void,
): void {
  const length = Number(request.headers['content-length'] ?? 0)
  // Content in the same packet as the header is complete one microtask later. No event would tell
  // if it is empty or was put back before.
  void SETTLED.then(() => {
    if (length > most) return then('too-large')
    if (request.complete && !request.destroyed) {
      // The stream has no encoding, so these are bytes.
      const content: Buffer = request.read() ?? EMPTY
      return then(content.length > most ? 'too-large' : putBack(request, content))
    }
    void gather(request, most).then(then)
  })
}

/** Runs callbacks one microtask later, at less cost than `queueMicrotask` of Node. */
const SETTLED = Promise.resolve()

/** Gathers content that arrives in several packets. */
async function gather(request: IncomingMessage, most: number): Promise<Content> {
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
    resolve(putBack(request, size === 0 ? EMPTY : Buffer.concat(chunks, size)))
  }
  const broken = () => resolve('broken')
  request.on('readable', take).on('error', broken).on('close', broken)
  const content = await promise
  // `error` keeps its listener, so that a client that breaks off later causes no uncaught error.
  request.off('readable', take).off('close', broken)
  return content
}

/**
 * Puts content back, and replaces the stream's iterator, by which oidc-provider reads content
 * (lib/shared/selective_body.js). Node's iterator is made for data that is still arriving, and
 * costs more than the rest of reading a form.
 */
function putBack(request: IncomingMessage, content: Buffer): Content {
  request.unshift(content)
  // The type has more methods, which `for await` does not need.
  request.iterator = () => new Whole(request) as unknown as ReturnType<typeof request.iterator>
  return { text: content.toString('latin1') }
}

/** Iterator of a stream that has all of its content. */
class Whole {
  readonly #request: IncomingMessage

  constructor(request: IncomingMessage) {
    this.#request = request
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Buffer>> {
    const value: Buffer | null = this.#request.read()
    return value === null ? END : Promise.resolve({ value })
  }
}

const END: Promise<IteratorReturnResult<undefined>> = Promise.resolve({
  value: undefined,
  done: true,
})

/** A form without fields, because an empty buffer cannot be put back. */
const EMPTY = Buffer.from('&')

/**
 * True if the request has content; without both header fields it has none (RFC 9112, section 6.3).
 */
export function hasContent({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  return encoding !== undefined || (length !== undefined && Number(length) > 0)
}

/** @param type the header field Content-Type */
export function isForm(type = ''): boolean {
  return FORM.test(type)
}

const FORM = /^application\/x-www-form-urlencoded(?:\s*;|\s*$)/i
