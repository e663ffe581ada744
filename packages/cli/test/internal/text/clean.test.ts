import { assert, describe, it } from "@effect/vitest"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { describe as describeError } from "../../../src/internal/errors/describe.ts"
import { clean, cleanJson } from "../../../src/internal/text/clean.ts"
import { oneLine } from "../../../src/internal/terminal/logger.ts"

const hostile = "a\u001b]0;title\u0007b\u001b[31mc\u009b2Jd\u009d8;;x\u009ce\u202ef\u2066g\u200fh\u2028i\r\bj\u007fk"

// eslint-disable-next-line no-control-regex
const dangerous = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

describe("text of a service", () => {
  it("has no escape, C1 or bidi character once it is cleaned, with its lines or without", () => {
    assert.match(hostile, dangerous)
    assert.notMatch(clean(hostile), dangerous)
    assert.notMatch(clean(`${hostile}\n`, { keepLines: true }), dangerous)
    assert.strictEqual(clean("a\nb\tc"), "a b c")
    assert.strictEqual(clean("a\nb\tc", { keepLines: true }), "a\nb\tc")
    assert.strictEqual(clean("日本語 é 🙂"), "日本語 é 🙂")
  })

  it("cannot control the terminal by an error or by a log line", () => {
    assert.notMatch(describeError(new Error(hostile)), dangerous)
    assert.notMatch(describeError(hostile), dangerous)
    let line = ""
    const logger = Logger.make<unknown, void>((options) => {
      line = oneLine(options)
    })
    logger.log({ message: [hostile], logLevel: LogLevel.Warning } as never)
    assert.include(line, "warn")
    assert.notMatch(line, dangerous)
  })

  it("keeps its value in JSON, where the characters are escaped", () => {
    const json = cleanJson(JSON.stringify({ hostile }))
    assert.notMatch(json, dangerous)
    assert.deepStrictEqual(JSON.parse(json), { hostile })
  })
})
