import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Json from "../src/Json.ts"
import { fixture } from "./utils/vocabularies.ts"

interface Fixture {
  readonly texts: ReadonlyArray<readonly [text: string, printed: string]>
  readonly tree: string
  readonly printed: ReadonlyArray<
    readonly [
      options: {
        readonly indent?: number | string
        readonly separators?: readonly [string, string]
        readonly sort_keys?: boolean
        readonly ensure_ascii?: boolean
      },
      text: string
    ]
  >
}

const reference = fixture<Fixture>("json")
const parse = (text: string, options?: Json.ParseOptions) => Either.getOrThrow(Json.parse(text, options))
const reasonOf = (text: string, options?: Json.ParseOptions) =>
  Either.match(Json.parse(text, options), {
    onLeft: (error: Json.JsonError) => error.message,
    onRight: () => "parsed"
  })

describe("Json", () => {
  it("prints what it parsed as Python does", () => {
    assert.isAtLeast(reference.texts.length, 200)
    for (const [text, printed] of reference.texts) assert.strictEqual(Json.stringify(parse(text)), printed, text)
  })

  it("prints with indents, separators, sorted keys and ASCII only, as Python does", () => {
    for (const [{ ensure_ascii, sort_keys, ...options }, text] of reference.printed) {
      const all = { ...options, ensureAscii: ensure_ascii, sortKeys: sort_keys }
      assert.strictEqual(Json.stringify(parse(reference.tree), all), text, JSON.stringify(all))
    }
  })

  it("gives JavaScript numbers where they are the same number and print in the same way", () => {
    assert.deepStrictEqual(
      parse("[0, -0, 1, -3, 0.5, 1.50, 9007199254740991]"),
      [0, 0, 1, -3, 0.5, 1.5, 9007199254740991]
    )
    for (const text of ["9007199254740993", "1.0", "1e-07", "1e3", "-0.0", "1e400"]) {
      const value = parse(`{"x": ${text}}`) as { readonly x: Json.Value }
      assert.deepStrictEqual(value, { x: new Json.Numeral(text) })
      assert.strictEqual(Json.toNumber(value.x), Number(text))
    }
    assert.strictEqual(Json.toNumber(0.25), 0.25)
    assert.isUndefined(Json.toNumber("1"))
  })

  it("reads any JSON as JSON.parse does, up to the form of numbers and the order of keys", () => {
    const numbersOf = (value: unknown): unknown =>
      Json.toNumber(value) !== undefined
        ? Json.toNumber(value)! + 0
        : Array.isArray(value)
          ? value.map(numbersOf)
          : typeof value === "object" && value !== null
            ? Object.fromEntries(Json.keys(value).map((key) => [key, numbersOf((value as never)[key])]))
            : value
    FastCheck.assert(
      FastCheck.property(FastCheck.json({ depthSize: "medium" }), (text) => {
        assert.deepStrictEqual(numbersOf(parse(text)), numbersOf(JSON.parse(text)))
      })
    )
  })

  it("keeps the order of keys that are integers, also when the object is copied", () => {
    const value = parse('{"b": 1, "2": 2, "1": 3}') as { readonly [key: string]: Json.Value }
    assert.deepStrictEqual(Json.keys(value), ["b", "2", "1"])
    assert.deepStrictEqual(Reflect.get(value, Json.order), ["b", "2", "1"])
    assert.strictEqual(Json.stringify({ ...value, c: 4, b: undefined }), '{"2": 2, "1": 3, "c": 4}')
  })

  it("does not let a key change the prototype of an object", () => {
    for (const text of ['{"__proto__": {"admin": true}}', '{"__proto__": {"admin": 1.0}}']) {
      const value = parse(text) as object
      assert.strictEqual(Object.getPrototypeOf(value), Object.prototype)
      assert.isFalse("admin" in value)
      assert.deepStrictEqual(Object.keys(value), ["__proto__"])
    }
  })

  it("says what is wrong and where, without characters that a terminal acts on", () => {
    assert.strictEqual(reasonOf('{"a": 1.0,}'), "Quoted object key expected but got '}' at position 10")
    assert.strictEqual(reasonOf('{"aa": 1, "1": }'), "Object value expected after ':' at position 15")
    assert.strictEqual(reasonOf('"\u001b[31m"'), "Invalid character '\\u001b' at position 1")
    assert.match(reasonOf(""), /reached end of input/)
    assert.match(reasonOf("[NaN]"), /Array item/)
    assert.match(reasonOf("\ufeff{}"), /JSON value expected/)
    assert.strictEqual(reasonOf(`[${"9".repeat(4301)}]`), "Integer with more than 4300 digits")
  })

  it("bounds how deep values nest", () => {
    assert.strictEqual(reasonOf("[".repeat(100) + "]".repeat(100)), "parsed")
    assert.strictEqual(
      reasonOf(`${'{"a":['.repeat(51)}1${"]}".repeat(51)}`),
      "arrays and objects nest deeper than 100 levels"
    )
    assert.match(reasonOf("[".repeat(1_000_000), { maxDepth: 1e9 }), /deeper than 500 levels/)
    const circular: Array<unknown> = []
    circular.push(circular)
    assert.throws(() => Json.stringify(circular), /nests deeper than 100 levels/)
  })

  it("refuses to print what may have lost digits or is not JSON", () => {
    assert.throws(() => Json.stringify({ id: 2 ** 60 }), /may have lost digits/)
    assert.strictEqual(Json.stringify({ id: 2n ** 60n }), '{"id": 1152921504606846976}')
    assert.throws(() => Json.stringify([() => 1]), /got function at the value\[0\], which JSON does not have/)
    assert.throws(() => JSON.stringify(parse("[9007199254740993]")), /use Json.stringify/)
    assert.strictEqual(JSON.stringify(parse("[1.0, 1e-07]")), "[1,1e-7]")
  })
})
