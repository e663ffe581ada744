/** Splits a batch into chunks that fit into requests. */
import type * as Datum from "@effect-tinker/api/Datum"
import { datumBytes } from "../limits/requestSize.ts"

/** @internal */
export interface ChunkLimits {
  /** number of datums */
  readonly maxLength: number
  readonly maxBytes: number
}

/** Fills one chunk after the other, in order. A datum above the byte limit gets a separate chunk. @internal */
export const splitIntoChunks = <D extends Datum.Datum>(
  data: ReadonlyArray<D>,
  { maxBytes, maxLength }: ChunkLimits
): Array<Array<D>> => {
  const chunks: Array<Array<D>> = []
  let current: Array<D> = []
  let bytes = 0
  for (const datum of data) {
    const size = datumBytes(datum)
    if (current.length > 0 && (current.length >= maxLength || bytes + size > maxBytes)) {
      chunks.push(current)
      current = []
      bytes = 0
    }
    current.push(datum)
    bytes += size
  }
  if (current.length > 0) chunks.push(current)
  return chunks
}
