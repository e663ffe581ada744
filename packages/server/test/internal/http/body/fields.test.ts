import { assert, describe, it } from "@effect/vitest"
import { check, FieldError } from "../../../../src/internal/http/body/fields.ts"

const text = (length: number) => "x".repeat(length)

const messageOf = (body: unknown): string => {
  try {
    check(body)
    return "none"
  } catch (error) {
    assert.instanceOf(error, FieldError)
    return error.message
  }
}

describe("the bounds of fields", () => {
  it("name the path of the field, whatever was checked before it", () => {
    const fine = { list: [{ a: "b" }, ["c", { d: [1, 2] }]], other: { deep: { er: "e" } } }
    assert.strictEqual(messageOf(fine), "none")
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [text(2000), "the body has 2000 characters"],
      [{ fine, a: [{ b: "x" }, { c: [["x"], ["x", text(1025)]] }] }, "a[1].c[1][1] has 1025 characters"],
      [{ a: [fine, fine], [text(300)]: 1 }, `${text(256)} has 300 characters in its name`],
      [{ fine, a: { tags: ["b", text(257)] } }, "a.tags[1] has 257 characters"],
      [{ a: [1, { b: Array.from({ length: 4097 }, () => "x") }] }, "a[1].b has 4097 items"]
    ]
    for (const [body, message] of cases) assert.include(messageOf(body), message)
  })

  it("count the texts of a field as a whole, under its own path", () => {
    const metadata = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`key${i}`, text(4000)]))
    assert.match(messageOf({ first: { user_metadata: metadata } }), /^first\.user_metadata has \d+ characters in all/)
    const half = Object.fromEntries(Object.entries(metadata).slice(0, 4))
    assert.strictEqual(messageOf([{ user_metadata: half }, { user_metadata: half }]), "none")
  })

  it("end a body that is nested too deeply, and not one of depth 64", () => {
    const nested = (depth: number): unknown => (depth === 0 ? "x" : [nested(depth - 1)])
    assert.strictEqual(messageOf(nested(64)), "none")
    assert.include(messageOf(nested(70)), "nested too deeply")
  })
})
