import * as Zstd from "@effect-tinker/api/Zstd"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FastCheck from "fast-check"
import { execFileSync } from "node:child_process"
import { gzipSync } from "node:zlib"
import * as Lines from "../src/Lines.ts"
import * as files from "./utils/files.ts"

const encode = (text: string) => new TextEncoder().encode(text)

const concat = (...parts: ReadonlyArray<Uint8Array>) => new Uint8Array(Buffer.concat(parts))

const textsOf = (lines: Lines.Lines) => Effect.map(Stream.runCollect(lines.stream()), Chunk.toReadonlyArray)

const zstd = (bytes: Uint8Array) =>
  Effect.flatMap(Zstd.Zstd, ({ compress }) => compress(bytes)).pipe(Effect.provide(Zstd.layer))

/** The error of a file with this content. */
const errorOf = (content: string | Uint8Array, options?: Lines.Options) =>
  files.run(
    Effect.gen(function* () {
      const { directory, write } = yield* files.temporary
      const error = yield* Effect.flip(Lines.open(yield* write("data.jsonl", content), options))
      return error.message.replace(`${directory}/`, "")
    })
  )

const line = FastCheck.string({ unit: "grapheme", maxLength: 30 }).map((text) => text.replace(/[\r\n\0]/g, " "))

describe("Lines", () => {
  it.effect("are those of the text, with any line ends, in any order, compressed or not", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.array(FastCheck.tuple(line, FastCheck.constantFrom("\n", "\r\n")), { maxLength: 40 }),
          FastCheck.boolean(),
          FastCheck.boolean(),
          FastCheck.constantFrom("none", "gzip", "zstd"),
          (parts, hasMark, endsOpen, compression) => {
            const text = parts.map(([content, end]) => content + end).join("")
            const body = encode((hasMark ? "\uFEFF" : "") + (endsOpen ? text.replace(/\r?\n$/, "") : text))
            const expected = parts.flatMap(([content], i) =>
              content.trim() === "" ? [] : [{ text: content.replace(/\r$/, ""), line: i + 1 }]
            )
            return Effect.gen(function* () {
              const { write } = yield* files.temporary
              const bytes =
                compression === "gzip"
                  ? gzipSync(body)
                  : compression === "zstd" && body.length > 0
                    ? yield* zstd(body)
                    : body
              const lines = yield* Lines.open(yield* write("data", bytes))
              assert.deepStrictEqual(yield* textsOf(lines), expected)
              const backwards = expected.map((_, i) => expected.length - 1 - i)
              for (const i of backwards) assert.deepStrictEqual(yield* lines.at(i), expected[i])
            }).pipe(files.run, Effect.runPromise)
          }
        ),
        { numRuns: 60 }
      )
    )
  )

  it.effect("are found wherever the parts begin in which a file is read", () =>
    files.run(
      Effect.gen(function* () {
        const { write } = yield* files.temporary
        // reading goes by 64 KiB, so every line of this file ends elsewhere in its part
        const expected = Array.from({ length: 400 }, (_, i) => `${i}:${"é€🙂".repeat((i * 37) % 1200)}`)
        const bytes = encode(expected.join("\n"))
        const lines = yield* Lines.open(yield* write("data", bytes))
        assert.deepStrictEqual(
          (yield* textsOf(lines)).map(({ text }) => text),
          expected
        )
        for (const i of [399, 0, 200, 201, 202, 7, 398]) assert.strictEqual((yield* lines.at(i)).text, expected[i])
        assert.strictEqual((yield* Stream.runCollect(lines.stream(397))).length, 3)
      })
    )
  )

  it.effect("are read from several members of a gzip file, and several frames of a zstd file", () =>
    files.run(
      Effect.gen(function* () {
        const { write } = yield* files.temporary
        const parts = [encode("a\nb"), encode("c\nd\n")]
        const gzip = yield* write("a.gz", concat(...parts.map((part) => gzipSync(part))))
        const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3)
        const frames = yield* Effect.forEach(parts, zstd)
        const zst = yield* write("a.zst", concat(skippable, ...frames, skippable))
        for (const path of [gzip, zst]) {
          const lines = yield* Lines.open(path)
          assert.deepStrictEqual(
            (yield* textsOf(lines)).map(({ text }) => text),
            ["a", "bc", "d"]
          )
        }
        assert.strictEqual((yield* Lines.open(gzip)).compression, "gzip")
        assert.strictEqual((yield* Lines.open(zst)).compression, "zstd")
      })
    )
  )

  const plain = encode(`{"a":1}\n`.repeat(5000))
  const gzip = new Uint8Array(gzipSync(plain))
  const flipped = gzip.slice()
  flipped[gzip.length - 6]! ^= 1

  for (const [name, content, message] of [
    [
      "Latin-1",
      concat(encode('{"a":1}\n{"a":"caf'), Uint8Array.of(0xe9), encode('"}\n')),
      /^data\.jsonl:2: the byte 0xe9 at column 10 is not UTF-8: convert .*iconv/
    ],
    ["UTF-16 with a mark", concat(Uint8Array.of(0xff, 0xfe), Buffer.from("a\n", "utf16le")), /UTF-16: convert/],
    ["UTF-16 without a mark", new Uint8Array(Buffer.from("a\nb\n", "utf16le")), /^data\.jsonl:1: has a NUL byte: /],
    ["a NUL byte", "a\nb\nc\0d\n", /^data\.jsonl:3: has a NUL byte/],
    ["a surrogate in UTF-8", concat(encode("ok\n"), Uint8Array.of(0xed, 0xa0, 0x80)), /^data\.jsonl:2: the byte 0xed/],
    ["a sequence that is cut off", Uint8Array.of(0x61, 0xf0, 0x9f, 0x99), /^data\.jsonl:1: the byte 0xf0 at column 2/],
    ["a truncated gzip file", gzip.subarray(0, gzip.length - 9), /^data\.jsonl: cannot be .* \(gzip\): .*too early/],
    [
      "a gzip file with another checksum",
      flipped,
      /^data\.jsonl: cannot be decompressed \(gzip\): incorrect data check/
    ],
    ["something after a gzip file", concat(gzip, encode("more")), /^data\.jsonl: cannot be decompressed \(gzip\)/],
    ["a zip archive", Uint8Array.of(0x50, 0x4b, 3, 4), /^data\.jsonl: is a zip archive: unpack it first$/],
    ["xz", Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), /xz: decompress it first \(unxz\), or use gzip or zstd$/],
    ["a file that is compressed twice", gzipSync(gzip), /^data\.jsonl: is compressed twice/],
    ["Parquet", "PAR1....", /^data\.jsonl: is a Parquet file/]
  ] as const) {
    it.effect(`refuse ${name}`, () => Effect.map(errorOf(content), (error) => assert.match(error, message)))
  }

  it.effect("have bounds", () =>
    Effect.gen(function* () {
      assert.match(
        yield* errorOf(`ok\n${"x".repeat(11)}`, { maxLineBytes: 10 }),
        /^data\.jsonl:2: the line is longer than 10/
      )
      assert.match(yield* errorOf("x".repeat(11), { maxLineBytes: 10 }), /^data\.jsonl:1: the line is longer/)
      assert.match(yield* errorOf("a\n\nb\nc\n", { maxLines: 2 }), /^data\.jsonl:4: has more than 2 records$/)
      assert.match(yield* errorOf(gzip, { maxBytes: 39_999 }), /^data\.jsonl: has more than 39999 bytes/)
      assert.match(yield* errorOf(yield* zstd(plain), { maxBytes: 39_999 }), /^data\.jsonl: has more than 39999 bytes/)
    })
  )

  it.effect("say that a file is missing, a directory or a pipe", () =>
    files.run(
      Effect.gen(function* () {
        const { directory } = yield* files.temporary
        const messageOf = (path: string) => Effect.map(Effect.flip(Lines.open(path)), ({ message }) => message)
        assert.strictEqual(yield* messageOf("absent.jsonl"), "absent.jsonl: does not exist")
        assert.match(yield* messageOf(directory), /: is a directory: give the files in it$/)
        execFileSync("mkfifo", [`${directory}/pipe`])
        assert.match(yield* messageOf(`${directory}/pipe`), /: is no regular file: save it to one$/)
      })
    )
  )

  it.effect("fail if the file has become shorter since it was opened", () =>
    files.run(
      Effect.gen(function* () {
        const { write } = yield* files.temporary
        const path = yield* write("data.jsonl", "aaa\nbbb\nccc\n")
        const lines = yield* Lines.open(path)
        yield* write("data.jsonl", "aaa\n")
        const error = yield* Effect.flip(lines.at(2))
        assert.match(error.message, /has become shorter/)
      })
    )
  )

  it.effect("leave no temporary file behind", () =>
    files.run(
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { write } = yield* files.temporary
        const path = yield* write("data.jsonl.gz", gzipSync("a\n"))
        const opened: Array<string> = []
        const spied: FileSystem.FileSystem = {
          ...fs,
          makeTempFileScoped: (options) => Effect.tap(fs.makeTempFileScoped(options), (file) => opened.push(file))
        }
        yield* Lines.open(path).pipe(Effect.scoped, Effect.provideService(FileSystem.FileSystem, spied))
        assert.strictEqual(opened.length, 1)
        assert.isFalse(yield* fs.exists(opened[0]!))
      })
    )
  )
})
