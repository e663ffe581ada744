/**
 * The memories of WebAssembly that a worker of the tests creates, caught from before its first import of jax-js, which
 * allocates all arrays in one memory and creates it when it is imported. The test files of a worker share their imports.
 */

const key = Symbol.for("effect-tinker/test/memories")

const shared = globalThis as { [key]?: Array<WebAssembly.Memory> }

const patch = (): Array<WebAssembly.Memory> => {
  const caught: Array<WebAssembly.Memory> = []
  const Memory = WebAssembly.Memory
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor)
      caught.push(this)
    }
  }
  return caught
}

const memories = (shared[key] ??= patch())

/** How many bytes they have. */
export const bytes = (): number => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
