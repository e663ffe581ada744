/**
 * zstd, which the bodies of passes are compressed with when a server asks for it (`proto_compress_fwdbwd`).
 *
 * `layer` runs wherever JavaScript does. It compresses with the reference implementation, compiled to WebAssembly and
 * loaded when it is first used, and decompresses in JavaScript. A platform that has zstd of its own provides the service
 * from that.
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
 * Bytes that are no zstd frame (`Malformed`), or one that would become larger than is allowed (`TooLarge`).
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
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** One frame, which says how large its content is. */
  readonly compress: (bytes: Uint8Array) => Effect.Effect<Uint8Array>
  /** The content of a frame, which may not be larger than `maxBytes` (`maxBytes` of this module where absent). */
  readonly decompress: (bytes: Uint8Array, maxBytes?: number) => Effect.Effect<Uint8Array, ZstdError>
}

/**
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
 * How large a body may become when nothing else is said: 256 MiB, many times what clients send.
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
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service> = Effect.map(Effect.cached(load), (library) => ({
  compress: Effect.fn("Zstd.compress")(function* (bytes: Uint8Array) {
    return (yield* library).compress(bytes, 3)
  }),
  decompress: Effect.fn("Zstd.decompress")(function* (bytes: Uint8Array, limit: number = maxBytes) {
    // a frame is given whatever memory it asks for, so that is looked at first
    const size = frame.contentSize(bytes)
    if (typeof size === "string") return yield* malformed(size)
    if (size > limit) {
      return yield* new ZstdError({ reason: "TooLarge", detail: `${size} bytes are more than the ${limit} allowed` })
    }
    const content = yield* Effect.try({
      // bytes of strangers are read by JavaScript, which cannot write where it should not
      try: () => fzstd.decompress(bytes, new Uint8Array(size)),
      catch: (cause) => malformed(cause instanceof Error ? cause.message : String(cause))
    })
    return content.length === size
      ? content
      : yield* malformed(`the content has ${content.length} bytes, but the frame says ${size}`)
  })
}))

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Zstd> = Layer.effect(Zstd, make)
