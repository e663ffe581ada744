/** The memory that the process may use, where it cannot be read. */

/** In bytes: what WebAssembly can address. @internal */
export const availableMemory = (): number => 4 * 2 ** 30

/** @internal */
export const kindOfMachine = (): string => "web"
