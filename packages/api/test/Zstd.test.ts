import { assert, describe, it } from "@effect/vitest"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FastCheck from "fast-check"
import * as wire from "./utils/wire.ts"

const run = <A, E>(effect: Effect.Effect<A, E, Zstd.Zstd>) => Effect.provide(effect, Zstd.layer)

const frames = [0, 1, 255, 256, 70_000, 1_000_000].map((size) =>
  Uint8Array.from({ length: size }, (_, i) => (i >> 3) % 251)
)

describe("Zstd", () => {
  it.effect("decompresses to the content that was compressed, of any size", () =>
    run(
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        for (const content of frames) {
          const compressed = yield* zstd.compress(content)
          assert.deepStrictEqual(yield* zstd.decompress(compressed), content)
          assert.deepStrictEqual(yield* zstd.decompress(compressed, content.length), content)
          if (content.length > 1000) assert.isBelow(compressed.length, content.length / 4)
        }
      })
    )
  )

  it.effect("rejects a frame whose header announces more than the allowed size", () =>
    run(
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const compressed = yield* zstd.compress(frames[5]!)
        assert.strictEqual((yield* Effect.flip(zstd.decompress(compressed, 999_999))).reason, "TooLarge")
        // Its size field has eight bytes: 2^56.
        const bomb = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0)
        assert.strictEqual((yield* Effect.flip(zstd.decompress(bomb))).reason, "TooLarge")
      })
    )
  )

  it.effect("rejects bytes that are not a frame", () =>
    run(
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const compressed = yield* zstd.compress(frames[4]!)
        for (const bytes of [new Uint8Array(0), Uint8Array.of(1, 2, 3, 4, 5, 6, 7), compressed.subarray(0, 40)]) {
          const error = yield* Effect.flip(zstd.decompress(bytes))
          assert.strictEqual(error._tag, "ZstdError")
          assert.strictEqual(error.reason, "Malformed")
        }
      })
    )
  )

  it.effect("never throws on 1,000 random or changed buffers", () =>
    run(
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const compressed = yield* zstd.compress(frames[4]!)
        const buffers = FastCheck.sample(
          FastCheck.oneof(
            FastCheck.uint8Array({ maxLength: 64 }).map((tail) => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...tail)),
            FastCheck.tuple(FastCheck.nat(compressed.length - 1), FastCheck.nat(255)).map(([at, value]) => {
              const out = compressed.slice()
              out[at] = value
              return out
            })
          ),
          1000
        )
        for (const bytes of buffers) yield* Effect.either(zstd.decompress(bytes, 1_000_000))
        assert.deepStrictEqual(yield* zstd.decompress(compressed), frames[4]!)
      })
    )
  )

  it.effect("decompresses the request of the official client", () =>
    run(
      Effect.gen(function* () {
        const zstd = yield* Zstd.Zstd
        const { request } = wire.exchange("a compressed pass")
        assert.strictEqual(request.headers["content-encoding"], Zstd.contentEncoding)
        const decoded = yield* ProtobufCodec.decodeForwardBackwardRequest(yield* zstd.decompress(wire.bytes(request)))
        assert.strictEqual(decoded.forward_backward_input.loss_fn, "cross_entropy")
        assert.strictEqual(decoded.forward_backward_input.data.length, 2)
      })
    )
  )

  describe("decompressStream", () => {
    const decompress = (parts: ReadonlyArray<Uint8Array>, maxBytes = 2 ** 30) =>
      Stream.fromIterable(parts).pipe(
        Zstd.decompressStream(maxBytes),
        Stream.runCollect,
        Effect.map((all) => new Uint8Array(Buffer.concat([...all])))
      )
    const split = (bytes: Uint8Array, size: number) =>
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

    /** One made by `printf 'hello zstd\n' | zstd`, with a checksum and without the size of its content. */
    const withChecksum = Buffer.from("KLUv/QRYWQAAaGVsbG8genN0ZApsV/lR", "base64")

    it.effect("gives the content of frames, in whatever parts they arrive", () =>
      run(
        Effect.gen(function* () {
          const zstd = yield* Zstd.Zstd
          for (const [size, contents] of [
            [1, frames.slice(0, 4)],
            [1000, frames],
            [1e9, frames]
          ] as const) {
            const all = Buffer.concat([...(yield* Effect.forEach(contents, zstd.compress)), withChecksum])
            const expected = Buffer.concat([...contents, Buffer.from("hello zstd\n")])
            assert.isTrue(expected.equals(yield* decompress(split(all, size))))
          }
        })
      )
    )

    it.effect("rejects a wrong checksum, a frame that is not complete, and what is no frame", () =>
      Effect.gen(function* () {
        const detailOf = (bytes: Uint8Array) => Effect.map(Effect.flip(decompress([bytes])), ({ detail }) => detail)
        const wrong = Buffer.from(withChecksum)
        wrong[12]! ^= 1
        assert.strictEqual(yield* detailOf(wrong), "the content does not match its checksum")
        for (let length = 1; length < withChecksum.length; length++) {
          assert.strictEqual(yield* detailOf(withChecksum.subarray(0, length)), "the last frame is not complete")
        }
        assert.match(yield* detailOf(Buffer.concat([withChecksum, Buffer.from("more")])), /not complete/)
        assert.match(yield* detailOf(Buffer.concat([withChecksum, Buffer.from("more, much more")])), /magic number/)
        // a window of 2 GiB
        assert.match(
          yield* detailOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0)),
          /more than 134217728 bytes/
        )
      })
    )

    it.effect("stops at the allowed size", () =>
      run(
        Effect.gen(function* () {
          const compressed = yield* (yield* Zstd.Zstd).compress(frames[5]!)
          assert.strictEqual((yield* decompress([compressed], 1_000_000)).length, 1_000_000)
          assert.strictEqual((yield* Effect.flip(decompress([compressed], 999_999))).reason, "TooLarge")
        })
      )
    )
  })
})
