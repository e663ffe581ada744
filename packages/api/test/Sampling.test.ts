import { assert, describe, it } from "@effect/vitest"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

const sequence = { stop_reason: "stop", tokens: Int32Array.of(1, 2) } as const

describe("Sampling", () => {
  it("gives sequences with logprobs their type, and says what others lack", () => {
    const scored = { ...sequence, logprobs: Float32Array.of(-1, -2) }
    assert.deepStrictEqual(Sampling.withLogprobs([scored]), Either.right([scored]))
    const messages = [
      sequence,
      { ...sequence, logprobs: Float32Array.of(-1) },
      { ...sequence, logprobs: Float32Array.of(-1, Number.NaN) }
    ].map((bad) => Either.flip(Sampling.withLogprobs([scored, bad])).pipe(Either.getOrThrow).message)
    assert.match(messages[0]!, /^sequences\[1\]\.logprobs is missing: /)
    assert.match(messages[1]!, /^sequences\[1\]\.logprobs has the length 1, its tokens 2: /)
    assert.match(messages[2]!, /^sequences\[1\]\.logprobs\[1\] is not a finite number: /)
  })

  describe("a JSON schema", () => {
    const enforce = (schema: unknown) => Sampling.enforceJsonSchema(JSON.stringify(schema))
    const problem = (schema: unknown) => Either.getOrThrow(Either.flip(enforce(schema)))

    it("is refused with the path to what cannot be enforced", () => {
      const good = { type: "object", properties: { a: { type: ["integer", "null"], minimum: 1 } }, $defs: { b: true } }
      assert.deepStrictEqual(enforce(good), Either.right(JSON.stringify(good)))
      const bad = problem({ ...good, properties: { a: { items: { format: "date" } } } })
      assert.deepInclude(bad, { path: "json_schema.properties.a.items.format", reason: "cannot be enforced" })
      assert.strictEqual(problem({ anyOf: [{}, { type: "text" }] }).path, "json_schema.anyOf[1].type")
      const nested = (depth: number): unknown => (depth === 0 ? {} : { items: nested(depth - 1) })
      assert.include(problem(nested(40)).reason, "is deeper than")
      assert.deepInclude(Either.flip(Sampling.enforceJsonSchema("{")).pipe(Either.getOrThrow), {
        reason: "is not JSON"
      })
      assert.isTrue(Either.isLeft(Sampling.enforceJsonSchema(" ".repeat(2 ** 16 + 1))))
    })

    it("is refused where grammars would leave a part of it out", () => {
      const left: ReadonlyArray<readonly [schema: object, path: string]> = [
        [{ enum: [1, 5], minimum: 4 }, "minimum"],
        [{ enum: [1, "a"], type: "integer" }, "enum"],
        [{ const: "a", type: "integer" }, "const"],
        [{ anyOf: [{ type: "integer" }], minimum: 4 }, "minimum"],
        [{ anyOf: [{ type: "integer" }], type: "integer" }, "type"],
        [{ maxItems: 4 }, "maxItems"],
        [{ type: "string", pattern: "a", maxLength: 3 }, "maxLength"],
        [{ type: "number", minimum: 0, maximum: 1 }, "maximum"],
        [{ type: ["number", "null"], minimum: 3 }, "minimum"],
        [{ type: "object", properties: { a: {} }, required: ["a", "b"] }, "required[1]"],
        [{ $ref: "#/$defs/None", minimum: 1 }, "minimum"],
        [{ $ref: "#/$defs/Text", type: "integer", $defs: { Text: { type: "string" } } }, "type"],
        [{ $ref: "#/$defs/Loop", minimum: 1, $defs: { Loop: { $ref: "#/$defs/Loop", maximum: 2 } } }, ""]
      ]
      for (const [schema, path] of left) {
        const { path: found } = problem(schema)
        if (path === "") assert.match(found, /^json_schema(?:\.\$ref)+$/)
        else assert.strictEqual(found, `json_schema.${path}`, JSON.stringify(schema))
      }
      assert.isTrue(Either.isRight(enforce({ type: "number", minimum: 0 })))
      assert.isTrue(Either.isRight(enforce({ enum: [1, null], type: ["number", "null"] })))
    })

    it("has what stands beside a reference in what it names", () => {
      const $defs = { Int: { type: "integer", title: "int", minimum: 0, maximum: 9 }, Own: { $ref: "#/$defs/Int" } }
      const properties = { a: { $ref: "#/$defs/Own", title: "a", minimum: 3, maximum: 20 }, b: { $ref: "#/$defs/Int" } }
      assert.deepStrictEqual(JSON.parse(Either.getOrThrow(enforce({ type: "object", properties, $defs }))), {
        type: "object",
        properties: { a: { title: "int", type: "integer", minimum: 3, maximum: 9 }, b: properties.b },
        $defs
      })
    })
  })

  it("have a partial form, in which what is absent stays absent", () => {
    const read = Schema.decodeUnknownEither(Sampling.PartialSamplingParams)
    assert.deepStrictEqual(read({ max_tokens: 4 }), Either.right({ max_tokens: 4 }))
    assert.isTrue(Either.isLeft(read({ top_p: 2 })))
  })
})
