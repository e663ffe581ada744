import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as SafeTensors from "../src/SafeTensors.ts"

const file = (header: unknown, data: Uint8Array): Uint8Array => {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const out = new Uint8Array(8 + json.length + data.length)
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true)
  out.set(json, 8)
  out.set(data, 8 + json.length)
  return out
}

const reason = (bytes: Uint8Array) =>
  Either.match(SafeTensors.decode(bytes), { onLeft: (error) => error.reason, onRight: () => "read" })

describe("SafeTensors", () => {
  it("decodes what it encoded", () => {
    const tensors = {
      "b.weight": { shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, Number.NaN, -Infinity) },
      "a.weight": { shape: [0, 4], data: new Float32Array(0) },
      scalar: { shape: [], data: Float32Array.of(7) }
    }
    const bytes = SafeTensors.encode(tensors, { format: "pt" })
    const back = Either.getOrThrow(SafeTensors.decode(bytes))
    assert.deepStrictEqual(back, { tensors, metadata: { format: "pt" } })
    // at any offset in a larger buffer
    const shifted = new Uint8Array(bytes.length + 3)
    shifted.set(bytes, 3)
    assert.deepStrictEqual(Either.getOrThrow(SafeTensors.decode(shifted.subarray(3))).tensors, tensors)
    assert.strictEqual((8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))) % 8, 0)
  })

  it("decodes F32 values at any offset of a Buffer, whose slices share its memory", () => {
    const header = (padding: string) => ({
      scalar: { dtype: "F32", shape: [], data_offsets: [0, 4] },
      __metadata__: { padding }
    })
    for (const padding of ["", ".", "..", "..."]) {
      const bytes = Buffer.from(file(header(padding), new Uint8Array(Float32Array.of(7).buffer)))
      assert.deepStrictEqual(Either.getOrThrow(SafeTensors.decode(bytes)).tensors, {
        scalar: { shape: [], data: Float32Array.of(7) }
      })
    }
  })

  it("encodes equal tensors as equal bytes, whatever their order", () => {
    const one = { shape: [1], data: Float32Array.of(1) }
    const two = { shape: [1], data: Float32Array.of(2) }
    assert.deepStrictEqual(SafeTensors.encode({ one, two }), SafeTensors.encode({ two, one }))
  })

  it("throws when data does not fit its shape", () => {
    assert.throws(() => SafeTensors.encode({ x: { shape: [2], data: Float32Array.of(1) } }), RangeError)
  })

  it("decodes F16 and BF16 as F32", () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x7c00, 0x3555)
    const brains = Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x4049)
    const data = new Uint8Array(22)
    data.set(new Uint8Array(halves.buffer), 0)
    data.set(new Uint8Array(brains.buffer), 14)
    const header = {
      h: { dtype: "F16", shape: [7], data_offsets: [0, 14] },
      b: { dtype: "BF16", shape: [2, 2], data_offsets: [14, 22] }
    }
    const { tensors } = Either.getOrThrow(SafeTensors.decode(file(header, data)))
    assert.deepStrictEqual(Array.from(tensors["h"]!.data), [1, -2, 2 ** -24, 65504, -0, Infinity, 0.333251953125])
    assert.deepStrictEqual(Array.from(tensors["b"]!.data), [1, -2, Infinity, 3.140625])
  })

  it("reports why a file cannot be decoded", () => {
    const entry = (over: object) =>
      file({ x: { dtype: "F32", shape: [1], data_offsets: [0, 4], ...over } }, new Uint8Array(4))
    assert.strictEqual(reason(entry({})), "read")
    assert.strictEqual(reason(new Uint8Array(3)), "it has 3 bytes")
    assert.match(reason(file("{}", new Uint8Array(0)).subarray(0, 9)), /longer than the file/)
    assert.match(reason(file("nope", new Uint8Array(0))), /not JSON/)
    assert.match(reason(file([], new Uint8Array(0))), /not an object/)
    assert.match(reason(entry({ dtype: "I64" })), /dtype I64/)
    assert.match(reason(entry({ shape: [-1] })), /no shape/)
    assert.match(reason(entry({ shape: [2] })), /does not fit/)
    assert.match(reason(entry({ data_offsets: [4, 8] })), /outside the file/)
    assert.match(reason(entry({ data_offsets: [0] })), /no data_offsets/)
    assert.match(reason(entry({ shape: [2 ** 40, 2 ** 40] })), /does not fit/)
  })
})
