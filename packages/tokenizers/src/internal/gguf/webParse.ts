/** Browsers have no GGUF files to open. */
import type { Parse } from "./model.ts"

/** @internal */
export const parse: Parse = () => Promise.reject(new Error("GGUF files are read with Node alone"))
