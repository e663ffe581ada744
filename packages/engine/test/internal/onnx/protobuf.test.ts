import { BinaryReader } from "@bufbuild/protobuf/wire"
import { assert, describe, it } from "@effect/vitest"
import { Message } from "../../../src/internal/onnx/protobuf.ts"

describe("A protobuf message", () => {
  it("can be read by another implementation", () => {
    const inner = new Message().ints(8, [1, 0, -1, 2 ** 40])
    const long = "é".repeat(100)
    const bytes = new Message().int(1, 300).string(2, long).float(4, 0.5).message(5, inner).finish()
    const reader = new BinaryReader(bytes)
    assert.deepStrictEqual(reader.tag(), [1, 0])
    assert.strictEqual(reader.uint32(), 300)
    assert.deepStrictEqual(reader.tag(), [2, 2])
    assert.strictEqual(reader.string(), long)
    assert.deepStrictEqual(reader.tag(), [4, 5])
    assert.strictEqual(reader.float(), 0.5)
    assert.deepStrictEqual(reader.tag(), [5, 2])
    const nested = new BinaryReader(reader.bytes())
    for (const expected of [1, 0, -1, 2 ** 40]) {
      assert.deepStrictEqual(nested.tag(), [8, 0])
      assert.strictEqual(Number(nested.int64()), expected)
    }
    assert.strictEqual(reader.pos, bytes.length)
  })
})
