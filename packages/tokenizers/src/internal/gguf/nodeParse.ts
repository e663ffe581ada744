/** Parses the header of a GGUF file, with a library whose ES module imports Node's. */
import { gguf } from "@huggingface/gguf"
import type { Parse } from "./model.ts"

/** @internal */
export const parse: Parse = (fetch) => gguf("http://file.invalid/model.gguf", { fetch })
