import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as format from "../../../src/internal/terminal/format.ts"

describe("format", () => {
  it("formats sizes as the Python command does", () => {
    assert.deepStrictEqual([-1, 0, 1023, 1024, 1536, 1024 ** 2, 5.3 * 1024 ** 3, 1024 ** 6].map(format.size), [
      "N/A",
      "0 B",
      "1023 B",
      "1.0 KB",
      "1.5 KB",
      "1.0 MB",
      "5.3 GB",
      "1.0 EB"
    ])
  })

  it("formats times as the Python command does", () => {
    const now = Date.UTC(2026, 5, 30, 12)
    const second = 1000
    const hour = 3600 * second
    const day = 24 * hour
    const shown = (millis: number) => format.relative(DateTime.unsafeMake(now + millis), now)
    assert.deepStrictEqual(
      [0, -61 * second, -hour, -2 * hour - 1, -day, -3 * day, -8 * day, -20 * day, -31 * day].map(shown),
      [
        "just now",
        "1 minute ago",
        "60 minutes ago",
        "2 hours ago",
        "1 day ago",
        "3 days ago",
        "1 week ago",
        "2 weeks ago",
        "2026-05-30"
      ]
    )
    assert.deepStrictEqual([30 * second, 90 * second, 5 * hour, day, 14 * day, 60 * day].map(shown), [
      "in less than a minute",
      "in 1 minute",
      "in 5 hours",
      "in 1 day",
      "in 2 weeks",
      "2026-08-29"
    ])
    assert.strictEqual(format.relative(undefined, now), "N/A")
  })

  it("formats times as Python's str() does", () => {
    assert.strictEqual(format.pythonTime(DateTime.unsafeMake("2026-05-27T20:00:00Z")), "2026-05-27 20:00:00+00:00")
    assert.strictEqual(
      format.pythonTime(DateTime.unsafeMake("2026-05-27T20:00:00.12Z")),
      "2026-05-27 20:00:00.120000+00:00"
    )
  })
})
