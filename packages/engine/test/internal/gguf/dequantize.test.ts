import { assert, describe, it } from "@effect/vitest"
import { bytesOf, dequantize, formats } from "../../../src/internal/gguf/dequantize.ts"
import * as fixtures from "../../utils/fixtures.ts"

interface Block {
  readonly type: number
  readonly data: string
  readonly values: string
}

const blocks = fixtures.read<Record<string, Block>>("gguf/blocks.json")

describe("A tensor of a GGUF file", () => {
  it.each(Object.keys(blocks))("in the format %s has the values that the Python package reads", (name) => {
    const { data, type, values } = blocks[name]!
    const expected = fixtures.decodeTensor({ shape: [], f32: values })
    const format = formats.get(type)!
    const bytes = Uint8Array.from(Buffer.from(data, "base64"))
    assert.strictEqual(format.name, name)
    assert.strictEqual(bytesOf(format, expected.length), bytes.length)
    assert.deepStrictEqual(dequantize(format, bytes, expected.length), expected)
    // tensors begin at any byte of what was read
    const moved = Uint8Array.of(255, ...bytes).subarray(1)
    assert.deepStrictEqual(dequantize(format, moved, expected.length), expected)
  })

  it("covers every format", () => {
    assert.deepStrictEqual(Array.from(formats.values(), ({ name }) => name).sort(), Object.keys(blocks).sort())
  })
})
