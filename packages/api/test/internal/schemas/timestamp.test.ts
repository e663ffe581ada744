import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Timestamp } from "../../../src/internal/schemas/timestamp.ts"

describe("Timestamp", () => {
  const read = (time: unknown) => DateTime.formatIso(Schema.decodeUnknownSync(Timestamp)(time))
  it.each([
    ["2026-05-27T20:00:00Z", "2026-05-27T20:00:00.000Z"],
    ["2026-05-27T20:00:00.090292Z", "2026-05-27T20:00:00.090Z"],
    ["2026-05-27T20:00:00+02:00", "2026-05-27T18:00:00.000Z"],
    ["2026-05-27T20:00:00", "2026-05-27T20:00:00.000Z"],
    ["2026-05-27 20:00:00.5", "2026-05-27T20:00:00.500Z"],
    ["2026-05-27", "2026-05-27T00:00:00.000Z"],
    [1779912000, "2026-05-27T20:00:00.000Z"],
    [1779912000000, "2026-05-27T20:00:00.000Z"]
  ])("decodes %s to %s", (time, expected) => {
    assert.strictEqual(read(time), expected)
  })
  it.each(["soon", "", true, Number.NaN])("rejects %s", (time) => {
    assert.throws(() => read(time))
  })
})
