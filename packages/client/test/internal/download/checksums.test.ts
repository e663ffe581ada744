import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { checksumsOf, findMismatch } from "../../../src/internal/download/checksums.ts"

const text = "123456789"
const hash = (algorithm: string) => createHash(algorithm).update(text).digest("base64")
// the check value of CRC-32C
const crc32c = Buffer.from("e3069283", "hex").toString("base64")

/** Whether a file with the text passes what the headers announce. */
const passes = (headers: Record<string, string>, isPart = false) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.makeTempFileScoped()
    yield* fs.writeFileString(file, text)
    return (yield* findMismatch(file, checksumsOf(headers, isPart))) === undefined
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const forms: ReadonlyArray<readonly [header: string, value: (checksum: string) => string, checksum: string]> = [
  ["x-goog-hash", (checksum) => `crc32c=${checksum}`, crc32c],
  ["x-goog-hash", (checksum) => `crc32c=${crc32c}, md5=${checksum}`, hash("md5")],
  ["digest", (checksum) => `SHA-256=${checksum}`, hash("sha256")],
  ["repr-digest", (checksum) => `sha-512=:${checksum}:`, hash("sha512")],
  ["content-digest", (checksum) => `sha-256=:${checksum}:`, hash("sha256")],
  ["content-md5", (checksum) => checksum, hash("md5")],
  ["x-ms-blob-content-md5", (checksum) => checksum, hash("md5")],
  ["x-amz-checksum-sha256", (checksum) => checksum, hash("sha256")],
  ["x-amz-checksum-crc32c", (checksum) => checksum, crc32c]
]

describe("the checksum that a server announces", () => {
  it.effect("passes a file that has it, and no other, in each form", () =>
    Effect.gen(function* () {
      for (const [header, value, checksum] of forms) {
        const wrong = (checksum.startsWith("A") ? "B" : "A") + checksum.slice(1)
        assert.isTrue(yield* passes({ [header]: value(checksum) }), header)
        assert.isFalse(yield* passes({ [header]: value(wrong) }), header)
      }
    })
  )

  it.effect("is not read where it is that of other bytes, or is none", () =>
    Effect.gen(function* () {
      const wrong = hash("md5").replace(/^./, (first) => (first === "A" ? "B" : "A"))
      for (const headers of [
        { "x-goog-hash": `md5=${wrong}`, "x-goog-stored-content-encoding": "gzip" },
        { "content-md5": wrong, "content-encoding": "gzip" },
        { "x-amz-checksum-crc32c": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE" },
        { "x-amz-checksum-crc32c": "AAAAAA==-3" },
        { digest: "md5=tooshort, unixsum=30637", "x-goog-hash": "md5" }
      ] as ReadonlyArray<Record<string, string>>) {
        assert.isTrue(yield* passes(headers), JSON.stringify(headers))
      }
      assert.isTrue(yield* passes({ "content-md5": wrong }, true), "that of a range")
    })
  )

  it("is read in its form alone", () => {
    const md5 = hash("md5")
    assert.deepStrictEqual(checksumsOf({ digest: ` MD5 = ${md5} ` }, false), [{ algorithm: "md5", value: md5 }])
    for (const value of [`!${md5.slice(1)}`, `${md5.slice(0, 23)}!`, `:${md5}`, `${md5}=`, ""]) {
      assert.deepStrictEqual(checksumsOf({ "content-md5": value, digest: `md5=${value}` }, false), [], value)
    }
    const composite = {
      "x-amz-checksum-type": "composite",
      "x-amz-checksum-sha256": hash("sha256"),
      "x-amz-checksum-crc32c": crc32c
    }
    assert.deepStrictEqual(checksumsOf(composite, false), [])
    assert.deepStrictEqual(checksumsOf({ "content-md5": md5, "content-digest": `md5=${md5}` }, true), [])
    assert.deepStrictEqual(checksumsOf({ "content-md5": md5, "content-encoding": "gzip" }, false), [])
    assert.deepStrictEqual(checksumsOf({ digest: `md5, unixsum=${md5}, =${md5}` }, false), [])
    assert.deepStrictEqual(checksumsOf({}, false), [])
  })
})
