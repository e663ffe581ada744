import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as JaxEngine from "../../src/JaxEngine.ts"

const directory = fileURLToPath(new URL("../fixtures/tiny-qwen3", import.meta.url))
const name = "test/tiny"

const EngineLive = JaxEngine.layer({ models: [{ name, directory }] }).pipe(Layer.provide(NodeContext.layer))

type Schema = { readonly [key: string]: unknown }

const leaves: ReadonlyArray<Schema> = [
  { type: "boolean" },
  { type: "null" },
  { type: "integer", minimum: -20, maximum: 999 },
  { enum: ["red", "grün", "blue", 7, null] },
  { const: "fixed" },
  { type: "string", maxLength: 6 },
  { type: "string", pattern: "^[a-c]{2,4}$" },
  { anyOf: [{ type: "boolean" }, { type: "integer", minimum: 1, maximum: 9 }] }
]

const leaf = (i: number): Schema => leaves[i % leaves.length]!

const schemaOf = (i: number): Schema => {
  if (i < leaves.length) return leaf(i)
  if (i % 3 === 0)
    return { type: "array", items: leaf(i + Math.floor(i / 24)), minItems: 1, maxItems: 1 + Math.floor(i / 6) }
  const inner = i % 3 === 1 ? leaf(i * 5) : schemaOf(Math.floor(i / 3))
  const properties = {
    a: leaf(i),
    n: { type: "integer", minimum: -i, maximum: 10 * i },
    "b c": inner,
    d: { type: "array", prefixItems: [leaf(i + 3), leaf(i + 4)], minItems: 2, maxItems: 2 }
  }
  return { type: "object", properties, required: Object.keys(properties), additionalProperties: false }
}

/** Whether a value matches a schema of these. */
const matches = (value: unknown, schema: Schema): boolean => {
  if ("const" in schema) return value === schema["const"]
  if ("enum" in schema) return (schema["enum"] as ReadonlyArray<unknown>).includes(value)
  if ("anyOf" in schema) return (schema["anyOf"] as ReadonlyArray<Schema>).some((one) => matches(value, one))
  switch (schema["type"]) {
    case "null":
      return value === null
    case "boolean":
      return typeof value === "boolean"
    case "integer":
      return (
        Number.isInteger(value) &&
        Number(value) >= Number(schema["minimum"]) &&
        Number(value) <= Number(schema["maximum"])
      )
    case "string":
      return (
        typeof value === "string" &&
        Array.from(value).length <= Number(schema["maxLength"] ?? Infinity) &&
        new RegExp((schema["pattern"] as string) ?? "", "u").test(value)
      )
    case "array": {
      if (!Array.isArray(value)) return false
      const [least, most] = [Number(schema["minItems"]), Number(schema["maxItems"])]
      const prefix = schema["prefixItems"] as ReadonlyArray<Schema> | undefined
      return (
        value.length >= least &&
        value.length <= most &&
        value.every((item, i) => matches(item, prefix?.[i] ?? (schema["items"] as Schema)))
      )
    }
    default: {
      const properties = schema["properties"] as { readonly [key: string]: Schema }
      if (typeof value !== "object" || value === null) return false
      const keys = Object.keys(value)
      return (
        keys.length === Object.keys(properties).length &&
        keys.every((key) => properties[key] !== undefined && matches((value as Schema)[key], properties[key]!))
      )
    }
  }
}

describe("samples of a JSON schema", () => {
  it.live(
    "are JSON that matches it, for 50 schemas and a model of random weights",
    () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const tokenizer = yield* Tokenizer.fromDirectory(directory)
        const sampler = yield* engine.createSampler({ base_model: name, adapter: undefined })
        const schemas = Array.from({ length: 50 }, (_, i) => schemaOf(i))
        assert.lengthOf(new Set(schemas.map((schema) => JSON.stringify(schema))), 50)
        const sample = (schema: Schema, i: number) =>
          sampler.sample({
            prompt: ModelInput.fromTokens([5, 6, 7]),
            num_samples: 2,
            sampling_params: { max_tokens: 600, temperature: 1, top_k: -1, top_p: 1, seed: i },
            prompt_logprobs: false,
            topk_prompt_logprobs: 0,
            json_schema: JSON.stringify(schema)
          })
        const responses = yield* Effect.forEach(schemas, sample, { concurrency: "unbounded" })
        responses.forEach(({ sequences }, i) => {
          for (const { logprobs, stop_reason, tokens } of sequences) {
            const text = tokenizer.decode(tokens, { skipSpecialTokens: true })
            assert.strictEqual(stop_reason, "stop", text)
            // all bytes are characters
            assert.notInclude(text, "\ufffd")
            assert.isTrue(matches(JSON.parse(text), schemas[i]!), `${text} is no ${JSON.stringify(schemas[i])}`)
            assert.isTrue(logprobs!.every((logprob) => Number.isFinite(logprob) && logprob <= 0))
          }
        })
      }).pipe(Effect.scoped, Effect.provide([EngineLive, NodeContext.layer])),
    60_000
  )

  it.live("fail for a schema that cannot be compiled, and not those after it", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      const sampler = yield* engine.createSampler({ base_model: name, adapter: undefined })
      const sample = (json_schema: string) =>
        sampler.sample({
          prompt: ModelInput.fromTokens([5, 6, 7]),
          num_samples: 1,
          sampling_params: { max_tokens: 8, temperature: 1, top_k: -1, top_p: 1 },
          prompt_logprobs: false,
          topk_prompt_logprobs: 0,
          json_schema
        })
      const written: Array<unknown> = []
      const write = console.error
      console.error = (...texts) => written.push(texts)
      yield* Effect.addFinalizer(() => Effect.sync(() => (console.error = write)))
      const reasons = yield* Effect.forEach(
        [
          '{"$ref":"#/nope"}',
          '{"type":"string","pattern":"("}',
          "no JSON",
          '{"type":"integer","minimum":5,"maximum":2}'
        ],
        (schema) =>
          Effect.map(Effect.flip(sample(schema)), ({ category, reason }) => {
            assert.strictEqual(category, "user")
            return reason
          })
      )
      assert.match(reasons[0]!, /^json_schema cannot be compiled: Cannot find field nope/)
      assert.match(reasons[1]!, /parenthesis is not closed/)
      assert.match(reasons[2]!, /Failed to parse JSON/)
      assert.match(reasons[3]!, /minimum greater than maximum/)
      // the vocabulary has the character, but JSON has no place for it
      const stuck = yield* Effect.flip(sample('{"type":"string","pattern":"^\\\\x01$"}'))
      assert.match(stuck.reason, /json_schema: after 1 tokens, no token of the vocabulary continues the JSON/)
      // the library writes nothing to the console
      assert.deepStrictEqual(written, [])
      const { sequences } = yield* sample('{"type":"boolean"}')
      assert.strictEqual(sequences[0]!.stop_reason, "stop")
    }).pipe(Effect.scoped, Effect.provide(EngineLive))
  )
})
