/// <reference types="node" />
/** Incremental SHA hashes, with Node. */
import { createHash } from "node:crypto"
import type { MakeHash } from "./model.ts"

/** @internal */
export const make: MakeHash = (algorithm) => {
  const hash = createHash(algorithm)
  return {
    update: (bytes) => {
      hash.update(bytes)
    },
    digest: () => hash.digest("hex")
  }
}
