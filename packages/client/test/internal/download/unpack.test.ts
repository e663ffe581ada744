import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gzipSync } from "node:zlib"
import { listFiles, unpack } from "../../../src/internal/download/unpack.ts"
import { type Entry, record, tar } from "../../utils/tar.ts"

/** Unpacks into a temporary directory, and returns what is in it; nothing may appear around it. */
const unpacked = (bytes: Uint8Array, maxSize = 1e6) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const around = yield* fs.makeTempDirectoryScoped()
    const target = `${around}/deep/target`
    yield* fs.makeDirectory(target, { recursive: true })
    yield* fs.writeFile(`${around}/archive`, bytes)
    const result = yield* Effect.either(
      unpack({ method: "download", archive: `${around}/archive`, shown: target, target, maxSize })
    )
    const files = yield* listFiles(target)
    const outside = (yield* listFiles(around)).filter(
      ({ name }) => name !== "archive" && !name.startsWith("deep/target/")
    )
    assert.deepStrictEqual(outside, [], "nothing is written outside the target")
    const read = (name: string) => fs.readFileString(`${target}/${name}`)
    return { result, files: files.map(({ name }) => name), read }
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const long = "d".repeat(90)

describe("unpacking an archive", () => {
  it.effect("accepts plain, compressed, pax and GNU archives", () =>
    Effect.gen(function* () {
      const archive = tar(
        { name: "./", type: "5" },
        { name: "/", type: "5" },
        { name: "", type: "5" },
        { name: "pax_global_header", type: "g", content: record("comment", "x") },
        { name: "a.txt", content: "A" },
        { name: "sub/", type: "5" },
        { name: "./sub/empty" },
        { name: "b", prefix: "pre/fix", content: "B".repeat(600) },
        { name: "x", type: "x", content: record("path", `${long}/${long}/c`) + record("mtime", "1.5") },
        { name: "short", content: "C" },
        { name: "L", type: "L", content: `${long}/${long}/d\0` },
        { name: "short", content: "D" }
      )
      const expected = ["a.txt", `${long}/${long}/c`, `${long}/${long}/d`, "pre/fix/b", "sub/empty"]
      for (const bytes of [archive, gzipSync(archive)]) {
        const { files, result } = yield* unpacked(bytes)
        assert.strictEqual(result._tag, "Right")
        assert.deepStrictEqual(files, expected)
      }
    })
  )

  it.effect("rejects archives that are unsafe, damaged or too large", () =>
    Effect.gen(function* () {
      const evil: Record<string, Uint8Array | ReadonlyArray<Entry>> = {
        "a symbolic link": [{ name: "l", type: "2" }],
        "a hard link": [{ name: "l", type: "1" }],
        "a long link": [{ name: "l", type: "K", content: "/etc/passwd" }],
        "a device": [{ name: "d", type: "3" }],
        "a pipe": [{ name: "d", type: "6" }],
        "the parent": [{ name: "../x", content: "x" }],
        "the parent, hidden": [{ name: "a/../../x", content: "x" }],
        "the parent as a directory": [{ name: "../d", type: "5" }],
        "the parent as a prefix": [{ name: "x", prefix: "..", content: "x" }],
        "an absolute name": [{ name: "/tmp/x", content: "x" }],
        "a drive": [{ name: "C:x", content: "x" }],
        "a backslash": [{ name: "..\\x", content: "x" }],
        "a name of nothing": [{ name: ".", content: "x" }],
        "an extended name that leads out": [{ name: "x", type: "x", content: record("path", "../x") }, { name: "y" }],
        "an extended link": [{ name: "x", type: "x", content: record("linkpath", "/etc") }, { name: "y" }],
        "a GNU name that leads out": [{ name: "x", type: "L", content: "../x\0" }, { name: "y" }],
        "an extended header that lies": [{ name: "x", type: "x", content: "999 path=a\n" }, { name: "y" }],
        "a name without end": [{ name: "x", type: "L", content: "n".repeat(70_000) }],
        "two files of a name": [
          { name: "a", content: "1" },
          { name: "./a", content: "2" }
        ],
        "a file below a file": [
          { name: "a", content: "1" },
          { name: "a/b", content: "2" }
        ],
        "a directory with content": [{ name: "a/", content: "1" }],
        "a wrong checksum": [{ name: "a", checksum: 7 }],
        "more than is allowed": [
          { name: "a", content: new Uint8Array(600_000) },
          { name: "b", content: new Uint8Array(600_000) }
        ],
        "a size of base 256": [{ name: "a", size: new Uint8Array(12).fill(0xff) }],
        "a size that is no number": [{ name: "a", size: new Uint8Array(11).fill(0x39) }],
        "a size beyond the end": [{ name: "a", content: "x", size: 5000 }],
        "a cut in a header": tar({ name: "a", content: "x" }).slice(0, 700 - 512),
        "a cut in a file": tar({ name: "a", content: "x".repeat(600) }).slice(0, 1000),
        nothing: new Uint8Array(0),
        "no archive": new TextEncoder().encode("<html>".repeat(200)),
        "a bomb": gzipSync(tar({ name: "a", content: new Uint8Array(20_000_000) })),
        "a damaged stream": gzipSync(tar({ name: "a", content: "x".repeat(600) })).subarray(0, 60)
      }
      for (const [name, made] of Object.entries(evil)) {
        const { result } = yield* unpacked(made instanceof Uint8Array ? made : tar(...made))
        assert.isTrue(result._tag === "Left" && result.left._tag === "FileError", name)
      }
    })
  )
})
