/**
 * zstd compression, which the client applies to forward-backward requests if the server enables it
 * (`proto_compress_fwdbwd`).
 *
 * `layer` works on every platform. It compresses with the reference implementation in WebAssembly, which is loaded on
 * first use, and decompresses in JavaScript. A platform with native zstd can provide its own service.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fzstd from "fzstd"
import * as frame from "./internal/zstd/frameHeader.ts"
import { Decompressor } from "./internal/zstd/stream.ts"

/**
 * Bytes that are not a zstd frame (`Malformed`), or whose content is larger than allowed (`TooLarge`).
 *
 * @since 0.1.0
 * @category errors
 */
export class ZstdError extends Schema.TaggedError<ZstdError>("@effect-tinker/api/ZstdError")("ZstdError", {
  reason: Schema.Literal("Malformed", "TooLarge"),
  detail: Schema.String
}) {
  override get message(): string {
    return `these bytes cannot be decompressed: ${this.detail}`
  }
}

/**
 * The operations of zstd.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Compresses into one frame whose header has the size of the content. */
  readonly compress: (bytes: Uint8Array) => Effect.Effect<Uint8Array>
  /** Decompresses one frame, whose content may not be larger than `maxBytes` (by default `maxBytes` of this module). */
  readonly decompress: (bytes: Uint8Array, maxBytes?: number) => Effect.Effect<Uint8Array, ZstdError>
}

/**
 * zstd compression.
 *
 * @since 0.1.0
 * @category tags
 */
export class Zstd extends Context.Tag("@effect-tinker/api/Zstd")<Zstd, Service>() {}

/**
 * The value of the header `Content-Encoding`.
 *
 * @since 0.1.0
 * @category constants
 */
export const contentEncoding = "zstd"

/**
 * The default limit of the decompressed size: 256 MiB, many times what clients send.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxBytes = 256 * 1024 * 1024

const malformed = (detail: string) => new ZstdError({ reason: "Malformed", detail })

const load = Effect.promise(async () => {
  const { Zstd } = await import("@hpcc-js/wasm-zstd")
  return Zstd.load()
})

/**
 * The portable implementation.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service> = Effect.map(Effect.cached(load), (library) => ({
  compress: Effect.fn("Zstd.compress")(function* (bytes: Uint8Array) {
    return (yield* library).compress(bytes, 3)
  }),
  decompress: Effect.fn("Zstd.decompress")(function* (bytes: Uint8Array, limit: number = maxBytes) {
    // Decompression allocates what the header announces, so it is checked first.
    const size = frame.contentSize(bytes)
    if (typeof size === "string") return yield* malformed(size)
    if (size > limit) {
      return yield* new ZstdError({ reason: "TooLarge", detail: `${size} bytes are more than the ${limit} allowed` })
    }
    const content = yield* Effect.try({
      // Untrusted bytes are decompressed in JavaScript, which is memory-safe.
      try: () => fzstd.decompress(bytes, new Uint8Array(size)),
      catch: (cause) => malformed(cause instanceof Error ? cause.message : String(cause))
    })
    return content.length === size
      ? content
      : yield* malformed(`the content has ${content.length} bytes, but the header announces ${size}`)
  })
}))

/**
 * The portable implementation.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Zstd> = Layer.effect(Zstd, make)

/** The bytes that are decompressed at a time: they give 32 MiB at most. */
const sliceSize = 1024

/** How much content is passed on at a time, unless a slice gives more. */
const passedOn = 1024 * 1024

/** Decompresses slices until there is enough to pass on. Succeeds with that, and with the bytes that are left. */
const decompressSome = (
  decompressor: Decompressor,
  bytes: Uint8Array
): readonly [Chunk.Chunk<Uint8Array>, Uint8Array] => {
  const parts: Array<Uint8Array> = []
  let [rest, length] = [bytes, 0]
  while (rest.length > 0 && length < passedOn) {
    for (const part of decompressor.push(rest.subarray(0, sliceSize))) {
      parts.push(part)
      length += part.length
    }
    rest = rest.subarray(sliceSize)
  }
  return [Chunk.unsafeFromArray(parts), rest]
}

/**
 * Decompresses a file of any size: one or more frames, with their checksums checked where they have one. It fails with
 * `Malformed` also if the bytes end inside of a frame, and with `TooLarge` as soon as the content has more than `maxBytes`
 * bytes. The memory is bounded by the window of a frame, which may have 128 MiB.
 *
 * @since 0.1.0
 * @category streams
 */
export const decompressStream =
  (maxBytes: number) =>
  <E, R>(compressed: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | ZstdError, R> =>
    Stream.suspend(() => {
      const decompressor = new Decompressor(frame.contentSize)
      let length = 0
      const attempt = <A>(evaluate: () => A) =>
        Effect.try({
          try: evaluate,
          catch: (cause) => malformed(cause instanceof Error ? cause.message : String(cause))
        })
      const contentOf = (bytes: Uint8Array) =>
        Stream.unfoldChunkEffect(bytes, (rest) =>
          rest.length === 0
            ? Effect.succeedNone
            : Effect.map(
                attempt(() => decompressSome(decompressor, rest)),
                Option.some
              )
        )
      const content = Stream.flatMap(compressed, contentOf).pipe(
        Stream.tap((part) => {
          length += part.length
          return length > maxBytes
            ? new ZstdError({ reason: "TooLarge", detail: `the content has more than the ${maxBytes} bytes allowed` })
            : Effect.void
        })
      )
      return Stream.concat(content, Stream.drain(Stream.fromEffect(attempt(() => decompressor.end()))))
    })
