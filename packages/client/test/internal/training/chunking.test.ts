import * as Datum from "@effect-tinker/api/Datum"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { datumBytes } from "../../../src/internal/limits/requestSize.ts"
import { splitIntoChunks } from "../../../src/internal/training/chunking.ts"

const ofLength = (n: number) =>
  Datum.make({
    model_input: new Int32Array(n),
    loss_fn_inputs: { target_tokens: new Int32Array(n), weights: new Float32Array(n) }
  })

describe("chunking", () => {
  it("counts 4 bytes per token, 8 per int64 and 4 per float32", () => {
    assert.strictEqual(datumBytes(ofLength(10)), 10 * (4 + 8 + 4))
  })

  it("keeps every datum in order, and fills each chunk up to the length or the byte limit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 1500 }),
        (lengths, maxLength, maxBytes) => {
          const data = lengths.map(ofLength)
          const chunks = splitIntoChunks(data, { maxLength, maxBytes })
          assert.deepStrictEqual(chunks.flat(), data)
          const bytes = (part: ReadonlyArray<Datum.Datum>) => part.reduce((sum, datum) => sum + datumBytes(datum), 0)
          chunks.forEach((part, i) => {
            assert.isTrue(part.length > 0 && part.length <= maxLength)
            assert.isTrue(part.length === 1 || bytes(part) <= maxBytes)
            const next = chunks[i + 1]?.[0]
            if (next !== undefined) {
              assert.isTrue(part.length === maxLength || bytes(part) + datumBytes(next) > maxBytes)
            }
          })
        }
      )
    )
  })
})
