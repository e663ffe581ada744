/** How many positions of the model's context a chunk or an input occupies. */
import * as Either from "effect/Either"
import * as containerHeader from "../tensor/containerHeader.ts"
import type { Chunk } from "./chunks.ts"

/** The length of a chunk, or why it is not known. @internal */
export const chunkLength = (chunk: Chunk): Either.Either<number, string> => {
  switch (chunk.type) {
    case "encoded_text":
      return Either.right(chunk.tokens.length)
    case "image":
    case "image_asset_pointer":
      return chunk.expected_tokens === undefined
        ? Either.left("has no expected_tokens, so its length is not known before the service counts it")
        : Either.right(chunk.expected_tokens)
    case "dmel": {
      const shape = containerHeader.shapeOf(chunk.dmel)
      if (typeof shape === "string") return Either.left(`holds a tensor that ${shape}`)
      return shape.length === 0 ? Either.left("holds a tensor without dimensions") : Either.right(shape[0]!)
    }
  }
}

/** The length of all chunks together, or the first chunk whose length is not known. @internal */
export const totalLength = (
  chunks: ReadonlyArray<Chunk>
): Either.Either<number, { readonly path: string; readonly reason: string }> => {
  let sum = 0
  for (let i = 0; i < chunks.length; i++) {
    const length = chunkLength(chunks[i]!)
    if (Either.isLeft(length)) return Either.left({ path: `chunks[${i}]`, reason: length.left })
    sum += length.right
  }
  return Either.right(sum)
}
