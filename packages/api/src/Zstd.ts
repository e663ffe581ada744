/**
 * zstd compression, which the client applies to forward-backward requests if the server enables it
 * (`proto_compress_fwdbwd`).
 *
 * `layer` works on every platform. It compresses with the reference implementation in WebAssembly, which is loaded on
 * first use, and decompresses in JavaScript. A platform with native zstd can provide its own service.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as fzstd from "fzstd"
import * as frame from "./internal/zstd/frameHeader.ts"

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
