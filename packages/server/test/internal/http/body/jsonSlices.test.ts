import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as jsonSlices from "../../../../src/internal/http/body/jsonSlices.ts"

const encode = (text: string) => new TextEncoder().encode(text)

const run = (bytes: Uint8Array, slice: number) => {
  const slices = jsonSlices.parse(bytes, slice)
  for (let pauses = 0; ; pauses++) {
    const step = slices.next()
    if (step.done === true) return { value: step.value, pauses }
  }
}

const outcome = (parse: () => unknown) => {
  try {
    return JSON.stringify(parse())
  } catch (error) {
    assert.instanceOf(error, SyntaxError)
    return "invalid"
  }
}

/** JSON, sometimes with a character too many or too few. */
const texts = FastCheck.tuple(
  FastCheck.json(),
  FastCheck.nat(),
  FastCheck.constantFrom("", "", ..."[]{},:\" 1\\atn'")
).map(([text, n, extra]) => {
  const at = n % (text.length + 1)
  return text.slice(0, at) + extra + text.slice(n % 3 === 0 ? at + 1 : at)
})

describe("JSON in slices", () => {
  it("is parsed as JSON.parse does, or rejected as by JSON.parse", () => {
    FastCheck.assert(
      FastCheck.property(texts, FastCheck.integer({ min: 1, max: 12 }), (text, slice) => {
        const bytes = encode(text)
        const expected = outcome(() => JSON.parse(new TextDecoder().decode(bytes)))
        assert.strictEqual(
          outcome(() => run(bytes, slice).value),
          expected,
          text
        )
      }),
      { numRuns: 3000 }
    )
  })

  it("keeps the last of equal keys, and sets no prototype", () => {
    const text = `{"a":[1,2,3,4,5,6],"__proto__":{"polluted":[1,2,3,4,5,6,7]},"a":1,"constructor":2}`
    const value = run(encode(text), 4).value as Record<string, unknown>
    assert.strictEqual(JSON.stringify(value), JSON.stringify(JSON.parse(text)))
    assert.strictEqual(Object.getPrototypeOf(value), Object.prototype)
    assert.isUndefined((value as { readonly polluted?: unknown }).polluted)
  })

  it("pauses in large arrays, objects, strings and white space alike", () => {
    const large = 200_000
    for (const text of [
      `{"a":[${"1,".repeat(large)}1]}`,
      `{${Array.from({ length: large / 10 }, (_, i) => `"k${i}":${i}`).join(",")}}`,
      `["${"\\u0041é".repeat(large / 8)}"]`,
      `[1,${" ".repeat(large)}2]`
    ]) {
      const { pauses, value } = run(encode(text), 1000)
      assert.strictEqual(JSON.stringify(value), JSON.stringify(JSON.parse(text)))
      assert.isAbove(pauses, 100, text.slice(0, 20))
    }
  })

  it("rejects values that are nested too deeply", () => {
    const nested = `${"[".repeat(200_000)}${"]".repeat(200_000)}`
    assert.throws(() => run(encode(nested), 1000), /nested/)
  })
})
