import { assert, describe, it } from "@effect/vitest"
import * as fingerprint from "../../../src/internal/util/fingerprint.ts"

const shifted = (bytes: Uint8Array, by: number): Uint8Array => {
  const buffer = new Uint8Array(bytes.length + by)
  buffer.set(bytes, by)
  return buffer.subarray(by)
}

describe("the fingerprint of a request", () => {
  it("depends neither on the order of keys nor on fields that are undefined", () => {
    const value = fingerprint.of({ a: 1, b: [true, null, "x"] })
    assert.strictEqual(fingerprint.of({ b: [true, null, "x"], a: 1, c: undefined }), value)
  })

  it("depends on every value and on its type", () => {
    const values = [{}, [], null, 0, 1, -0.5, "", "1", true, false, { a: 1 }, { a: "1" }, { b: 1 }, [1], [[1]], [1, 1]]
    assert.strictEqual(new Set(values.map(fingerprint.of)).size, values.length)
  })

  it("depends on the bytes of typed arrays, but not on their alignment", () => {
    const bytes = Uint8Array.from({ length: 11 }, (_, index) => index * 7)
    for (const by of [1, 2, 3, 4]) assert.strictEqual(fingerprint.of(shifted(bytes, by)), fingerprint.of(bytes))
    for (let index = 0; index < bytes.length; index++) {
      const changed = bytes.slice()
      changed[index]! ^= 1
      assert.notStrictEqual(fingerprint.of(changed), fingerprint.of(bytes))
    }
  })
})
