import { assert, describe, it } from "@effect/vitest"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"

const image = ModelInput.image({ data: Uint8Array.of(1, 2, 255), format: "png", expected_tokens: 7 })

describe("ModelInput", () => {
  it("encodes each kind of chunk to the form of the wire", () => {
    const input = ModelInput.make(
      ModelInput.text([1, 2]),
      image,
      ModelInput.imageAssetPointer({ format: "jpeg", location: "a/b", expected_tokens: 3 }),
      ModelInput.dmel(Uint8Array.of(0, 1, 4))
    )
    assert.deepStrictEqual(JSON.parse(JSON.stringify(Schema.encodeSync(ModelInput.ModelInput)(input))), {
      chunks: [
        { type: "encoded_text", tokens: [1, 2] },
        { type: "image", data: "AQL/", format: "png", expected_tokens: 7 },
        { type: "image_asset_pointer", format: "jpeg", location: "a/b", expected_tokens: 3 },
        { type: "dmel", dmel: "AAEE" }
      ]
    })
    assert.strictEqual(ModelInput.length(input), 2 + 7 + 3 + 4)
  })

  it("has a JSON Schema that names each kind of chunk", () => {
    const text = JSON.stringify(JSONSchema.make(ModelInput.ModelInput))
    for (const kind of ["encoded_text", "image", "image_asset_pointer", "dmel"]) assert.include(text, `["${kind}"]`)
    assert.notInclude(text, "unknown")
    // a reference would point into the schema of one chunk
    assert.notInclude(text, "$ref")
  })

  it("decodes null expected_tokens to absent", () => {
    const read = Schema.decodeUnknownSync(ModelInput.ModelInput)
    const { chunks } = read({ chunks: [{ type: "image", data: "", format: "png", expected_tokens: null }] })
    assert.deepStrictEqual(Object.keys(chunks[0]!), ["type", "data", "format"])
  })

  it.each([
    ["an unknown kind", { type: "video" }],
    ["a negative token", { type: "encoded_text", tokens: [1, -1] }],
    ["invalid base64", { type: "dmel", dmel: "!" }],
    ["another format", { type: "image", data: "", format: "gif" }]
  ])("rejects %s", (_name, chunk) => {
    assert.isTrue(Either.isLeft(Schema.decodeUnknownEither(ModelInput.ModelInput)({ chunks: [chunk] })))
  })

  it("concatenates the tokens of text, and does not copy those of a single chunk", () => {
    const tokens = Int32Array.of(1, 2)
    assert.strictEqual(ModelInput.toTokens(ModelInput.fromTokens(tokens)), tokens)
    assert.deepStrictEqual(
      ModelInput.toTokens(ModelInput.append(ModelInput.fromTokens(tokens), ModelInput.text([3]))),
      Int32Array.of(1, 2, 3)
    )
    assert.deepStrictEqual(ModelInput.toTokens(ModelInput.empty), new Int32Array(0))
  })

  it("has no tokens for an image", () => {
    assert.isFalse(ModelInput.isText(ModelInput.make(image)))
    assert.throws(() => ModelInput.toTokens(ModelInput.make(ModelInput.text([1]), image)), "chunks[1] is image")
  })

  it("reports which chunk has no known length", () => {
    const { expected_tokens: _, ...bare } = image
    const input = ModelInput.make(ModelInput.text([1]), bare)
    assert.throws(() => ModelInput.length(input), "chunks[1] has no expected_tokens")
  })

  const headers: ReadonlyArray<readonly [string, ReadonlyArray<number>, ReadonlyArray<number> | string]> = [
    ["two dimensions", [3, 2, 5, 80], [5, 80]],
    ["a marker byte", [254, 0, 1, 9], [9]],
    ["a dimension of several bytes", [7, 1, 0x80, 0x80, 0x01], [16384]],
    ["no dimensions", [0, 0], []],
    ["nothing", [], "is empty"],
    ["only a marker byte", [254], "ends inside its header"],
    ["only an element type", [1], "ends inside its header"],
    ["an unknown type", [8, 0], "has an unknown element type 8"],
    ["a missing dimension", [1, 2, 3], "ends inside its header"],
    ["a number without end", [1, ...Array.from({ length: 20 }, () => 0xff)], "has a number of more than ten bytes"],
    ["a dimension above 2^53", [1, 1, ...Array.from({ length: 8 }, () => 0xff), 0x01], "too large"]
  ]
  it.each(headers)("reads the header of a serialized tensor: %s", (_name, bytes, expected) => {
    const shape = ModelInput.containerShape(Uint8Array.from(bytes))
    if (typeof expected === "string") {
      assert.isTrue(Either.isLeft(shape) && shape.left.includes(expected))
    } else assert.deepStrictEqual(shape, Either.right(expected))
  })
})
