import { assert, describe, it } from "@effect/vitest"
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"

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
})
