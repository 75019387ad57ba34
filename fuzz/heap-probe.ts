/** Loaded into the server under test: tells, when asked, what its heap holds after a collection. */
process.on('message', () => {
  // There is one with --expose-gc.
  for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
  process.send?.({ heapUsed: process.memoryUsage().heapUsed })
})
// Asking must not keep a server alive that is to stop.
process.channel?.unref()
