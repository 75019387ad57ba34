/**
 * Loaded into the server under test: reports on request the size of its heap after a collection.
 */
process.on('message', () => {
  // `gc` exists with --expose-gc.
  for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
  process.send?.({ heapUsed: process.memoryUsage().heapUsed })
})
// The channel must not keep a stopping server alive.
process.channel?.unref()
