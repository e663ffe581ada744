import { assert, describe, it } from "@effect/vitest"
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "effect/FastCheck"

const supervised = Datum.make({
  model_input: [1, 2, 3],
  loss_fn_inputs: { target_tokens: [2, 3, 4], weights: [0, 1, 1] }
})

describe("Datum", () => {
  it("shifts a prompt and its completion by one", () => {
    const datum = Datum.fromPromptCompletion([1, 2], [3, 4])
    assert.deepStrictEqual(ModelInput.toTokens(datum.model_input), Int32Array.of(1, 2, 3))
    assert.deepStrictEqual(datum.loss_fn_inputs.target_tokens.data, Int32Array.of(2, 3, 4))
    assert.deepStrictEqual(datum.loss_fn_inputs.weights.data, Float32Array.of(0, 1, 1))
    assert.throws(() => Datum.fromPromptCompletion([1], []), RangeError)
  })

  it("puts a sampled sequence behind its prompt: sampled targets have logprobs and advantages, given ones 0", () => {
    const sequence = { tokens: Int32Array.of(3, 4), logprobs: Float32Array.of(-0.5, -0.25), sequence_id: "s" }
    const datum = Datum.fromSampled([1, 2], sequence, 2)
    assert.deepStrictEqual(ModelInput.toTokens(datum.model_input), Int32Array.of(1, 2, 3))
    assert.deepStrictEqual(datum.loss_fn_inputs.target_tokens.data, Int32Array.of(2, 3, 4))
    assert.deepStrictEqual(datum.loss_fn_inputs.logprobs.data, Float32Array.of(0, -0.5, -0.25))
    assert.deepStrictEqual(datum.loss_fn_inputs.advantages.data, Float32Array.of(0, 2, 2))
    assert.deepStrictEqual(datum.model_input_spans, [
      { type: "prompt", sequence_id: "s", offset: 0, length: 2 },
      { type: "sampled", sequence_id: "s", offset: 0, length: 1 }
    ])
    assert.deepStrictEqual(datum.loss_fn_input_spans, [
      { type: "prompt", sequence_id: "s", offset: 1, length: 1 },
      { type: "sampled", sequence_id: "s", offset: 0, length: 2 }
    ])
    assert.isUndefined(Datum.problem(datum, "importance_sampling"))
  })

  it("keeps the parts of many turns at their places, images included", () => {
    const image = ModelInput.image({ data: Uint8Array.of(1), format: "png", expected_tokens: 2 })
    const parts = [
      ModelInput.make(ModelInput.text([1]), image),
      { tokens: [5, 6], logprobs: [-1, -2], advantages: [0.5, -0.5] },
      [7],
      { tokens: [8], logprobs: [-3], advantages: 1 }
    ]
    const { loss_fn_inputs, model_input, model_input_spans } = Datum.fromSegments(parts)
    assert.deepStrictEqual(loss_fn_inputs.target_tokens.data, Int32Array.of(0, 0, 5, 6, 7, 8))
    assert.deepStrictEqual(loss_fn_inputs.logprobs.data, Float32Array.of(0, 0, -1, -2, 0, -3))
    assert.deepStrictEqual(loss_fn_inputs.advantages.data, Float32Array.of(0, 0, 0.5, -0.5, 0, 1))
    assert.deepStrictEqual(Datum.sampledMask(parts), Float32Array.of(0, 0, 1, 1, 0, 1))
    assert.deepStrictEqual(model_input.chunks, [ModelInput.text([1]), image, ModelInput.text([5, 6, 7])])
    // not every sampled part has its id
    assert.isUndefined(model_input_spans)
  })

  it.prop(
    "shifts every position of any segments by one, with spans that cover them",
    [
      fc.array(
        fc.record({
          sampled: fc.boolean(),
          tokens: fc.array(fc.nat(99), { maxLength: 4 })
        }),
        { minLength: 1, maxLength: 5 }
      )
    ],
    ([parts]) => {
      const all = parts.flatMap(({ tokens }) => tokens)
      fc.pre(all.length >= 2)
      const segments = parts.map(({ sampled, tokens }, i): Datum.Segment =>
        sampled
          ? { tokens, logprobs: tokens.map((t) => -t), advantages: tokens.map((t) => t + 1), sequence_id: `s${i}` }
          : tokens
      )
      const flags = parts.flatMap(({ sampled, tokens }) => tokens.map(() => sampled))
      const { loss_fn_inputs, model_input, model_input_spans } = Datum.fromSegments(segments)
      assert.deepStrictEqual(Array.from(ModelInput.toTokens(model_input)), all.slice(0, -1))
      assert.deepStrictEqual(TensorData.toNumbers(loss_fn_inputs.target_tokens), all.slice(1))
      const expected = all.map((token, i) => (flags[i] === true ? token + 1 : 0)).slice(1)
      assert.deepStrictEqual(TensorData.toNumbers(loss_fn_inputs.advantages), expected)
      assert.deepStrictEqual(Array.from(Datum.sampledMask(segments), Boolean), flags.slice(1))
      assert.strictEqual(model_input_spans !== undefined, flags.at(-1))
    }
  )

  it("says which part of the segments is wrong", () => {
    const part = { tokens: [3], logprobs: [-1], advantages: 1 }
    assert.throws(() => Datum.fromSegments([[1], { ...part, logprobs: [] }]), "segments[1].logprobs has the length 0")
    assert.throws(() => Datum.fromSegments([[1], { ...part, logprobs: [NaN] }]), "segments[1].logprobs[0] is NaN")
    assert.throws(() => Datum.fromSegments([[1], { ...part, advantages: [1, 2] }]), "segments[1].advantages has the")
    assert.throws(() => Datum.fromSegments([[], part]), "two tokens or more")
  })

  it("converts targets to integers and all other inputs to floats", () => {
    assert.strictEqual(supervised.loss_fn_inputs.target_tokens.dtype, "int64")
    assert.strictEqual(supervised.loss_fn_inputs.weights.dtype, "float32")
    assert.throws(() => Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [0.5] } }), RangeError)
  })

  const image = ModelInput.image({ data: Uint8Array.of(1), format: "png" })
  const broken: ReadonlyArray<readonly [string, Datum.Datum, string, string]> = [
    ["no tokens", Datum.make({ model_input: [], loss_fn_inputs: {} }), "cross_entropy", "model_input"],
    [
      "a negative token",
      Datum.make({ model_input: [1, -5], loss_fn_inputs: {} }),
      "x",
      "model_input.chunks[0].tokens[1]"
    ],
    [
      "a pointer to an image",
      {
        model_input: ModelInput.make(ModelInput.imageAssetPointer({ format: "png", location: "x" })),
        loss_fn_inputs: {}
      },
      "x",
      "model_input.chunks[0]"
    ],
    [
      "invalid audio",
      { model_input: ModelInput.make(ModelInput.text([1]), ModelInput.dmel(Uint8Array.of(9))), loss_fn_inputs: {} },
      "x",
      "model_input.chunks[1].dmel"
    ],
    ["a missing input", supervised, "ppo", "loss_fn_inputs.logprobs"],
    [
      "a missing mask",
      Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [1], logprobs: [0], advantages: [0] } }),
      "gspo",
      "loss_fn_inputs.sequence_ratio_mask"
    ],
    [
      "an input of another length",
      Datum.make({ model_input: [1, 2], loss_fn_inputs: { target_tokens: [1, 2], weights: [1] } }),
      "cross_entropy",
      "loss_fn_inputs.weights"
    ],
    [
      "a number that is not finite",
      Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [1], weights: [Number.NaN] } }),
      "cross_entropy",
      "loss_fn_inputs.weights[0]"
    ],
    [
      "a shape that does not fit",
      {
        model_input: ModelInput.fromTokens([1]),
        loss_fn_inputs: { x: { dtype: "float32", data: new Float32Array(2), shape: [1] } }
      },
      "other",
      "loss_fn_inputs.x"
    ],
    [
      "spans without their counterpart",
      { ...supervised, model_input_spans: [] },
      "cross_entropy",
      "loss_fn_input_spans"
    ],
    [
      "spans that do not cover the input",
      { ...supervised, model_input_spans: [], loss_fn_input_spans: [] },
      "cross_entropy",
      "model_input_spans"
    ]
  ]
  it.each(broken)("reports %s, with the path to it", (_name, datum, lossFn, path) => {
    assert.strictEqual(Datum.problem(datum, lossFn)?.path, path)
    assert.isTrue(Either.isLeft(Datum.refine(datum, lossFn)))
  })

  const sound: ReadonlyArray<readonly [string, Datum.Datum, string]> = [
    ["a supervised datum", supervised, "cross_entropy"],
    [
      "a supervised datum without weights",
      Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [2] } }),
      "cross_entropy"
    ],
    [
      "several targets per position",
      Datum.make({
        model_input: [1, 2],
        loss_fn_inputs: {
          target_tokens: [
            [1, 2],
            [3, 4]
          ],
          weights: [
            [0.5, 0.5],
            [1, 0]
          ]
        }
      }),
      "cross_entropy"
    ],
    ["an unknown loss", Datum.make({ model_input: [1], loss_fn_inputs: { anything: [1] } }), "other"],
    [
      "an image that the service counts",
      { model_input: ModelInput.make(image), loss_fn_inputs: supervised.loss_fn_inputs },
      "cross_entropy"
    ],
    [
      "a scalar for a custom loss",
      Datum.make({
        model_input: [1],
        loss_fn_inputs: { target_tokens: [1], beta: { dtype: "float32", data: Float32Array.of(1), shape: [] } }
      }),
      "custom"
    ]
  ]
  it.each(sound)("accepts %s", (_name, datum, lossFn) => {
    assert.isUndefined(Datum.problem(datum, lossFn))
  })

  it("has the provenance of its tokens", () => {
    const span = { type: "sampled" as const, sequence_id: "s:sample:0:1", offset: 0, length: 3 }
    const datum = Datum.withProvenance(supervised, { model_input: [span], loss_fn_inputs: [span] })
    assert.isUndefined(Datum.problem(datum, "stable_reinforce"))
    assert.throws(
      () => Datum.withProvenance(supervised, { model_input: [span], loss_fn_inputs: [] }),
      "loss_fn_input_spans cover 0 positions, but target_tokens has 3"
    )
  })

  it("becomes sparse if that is smaller, and dense again", () => {
    const row = (at: number) => Array.from({ length: 8 }, (_, i) => (i === at ? 1 : 0))
    const datum = Datum.make({
      model_input: [1, 2],
      loss_fn_inputs: { target_tokens: [row(1), row(2)], weights: [row(1), row(2)], advantages: [row(1), row(1)] }
    })
    const sparse = Datum.sparsify(datum)
    assert.deepStrictEqual(Object.values(sparse.loss_fn_inputs).map(TensorData.isSparse), [true, true, false])
    assert.isUndefined(Datum.problem(sparse, "cross_entropy"))
    assert.deepStrictEqual(Datum.toDense(sparse), datum)
    assert.strictEqual(Datum.toDense(datum), datum)
  })

  it("has a schema for each loss function, which decodes to what a pass takes", () => {
    const read = Schema.decodeUnknownEither(Datum.schemaFor("importance_sampling"))
    const numbers = (data: ReadonlyArray<number>) => ({ data, dtype: "float32", shape: [data.length] })
    const body = (inputs: object) => ({
      model_input: { chunks: [{ type: "encoded_text", tokens: [1, 2] }] },
      loss_fn_inputs: { target_tokens: { data: [2, 3], dtype: "int64", shape: [2] }, ...inputs }
    })
    const complete = read(body({ logprobs: numbers([-1, -2]), advantages: numbers([1, 1]) }))
    const datum: Datum.For<"importance_sampling"> = Either.getOrThrow(complete)
    assert.strictEqual(Datum.problem(datum, "importance_sampling"), undefined)
    assert.include(String(read(body({ logprobs: numbers([-1, -2]) }))), "advantages")
  })
})
