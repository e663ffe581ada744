import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { ArchiveRejected } from "../../../src/internal/download/tarHeader.ts"
import { TarReader } from "../../../src/internal/download/tarReader.ts"
import { record, tar } from "../../utils/tar.ts"

describe("TarReader", () => {
  it("reads the same files however the bytes of an archive are split", () => {
    const entry = fc.record({
      name: fc
        .array(fc.constantFrom("a", "b", "c.d", "."), { minLength: 1, maxLength: 4 })
        .map((parts) => [...parts, "f"].join("/")),
      content: fc.uint8Array({ maxLength: 1500 })
    })
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }),
        (entries, cuts) => {
          const bytes = tar(...entries)
          const reader = new TarReader({ size: 1e6, entries: 100 })
          const files: Array<{ path: string; content: Array<number> }> = []
          for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
            const size = cuts[turn % cuts.length]!
            for (const event of reader.push(bytes.subarray(offset, offset + size))) {
              if (event._tag === "File") files.push({ path: event.path.join("/"), content: [] })
              if (event._tag === "Data") files.at(-1)!.content.push(...event.bytes)
            }
            offset += size
          }
          reader.end()
          assert.deepStrictEqual(
            files,
            entries.map(({ content, name }) => ({
              path: name
                .split("/")
                .filter((part) => part !== ".")
                .join("/"),
              content: Array.from(content)
            }))
          )
        }
      ),
      { numRuns: 100 }
    )
  })

  it("rejects bytes that are no archive, and never throws anything else", () => {
    const base = tar({ name: "x", type: "x", content: record("path", "long/name") }, { name: "a", content: "abc" })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(base.length),
        (edits, end) => {
          const bytes = base.slice(0, end)
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value
          const reader = new TarReader({ size: 1e6, entries: 100 })
          try {
            reader.push(bytes)
            reader.end()
          } catch (error) {
            assert.instanceOf(error, ArchiveRejected)
          }
        }
      ),
      { numRuns: 1000 }
    )
  })
})
