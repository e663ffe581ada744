/** The fixtures that the reference implementation wrote, models loaded from them, and comparisons with them. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Engine from "@effect-tinker/server/Engine"
import { NodeContext } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as loaded from "../../src/internal/model/loaded.ts"
import * as executors from "../../src/internal/executors/choose.ts"
import * as ModelDirectory from "../../src/ModelDirectory.ts"
import { adamParams, trainAll } from "./requests.ts"

export interface Tensor {
  readonly shape: ReadonlyArray<number>
  readonly f32: string
}

export type Lora = Record<string, { readonly A: Tensor; readonly B: Tensor }>

export type JsonDatum = {
  readonly tokens: ReadonlyArray<number>
  readonly target_tokens: TensorData.Values
  readonly weights?: TensorData.Values
  readonly logprobs?: ReadonlyArray<number>
  readonly advantages?: ReadonlyArray<number>
  readonly sequence_ratio_mask?: ReadonlyArray<number>
  readonly sampled_mask?: ReadonlyArray<number>
}

export interface Tiny {
  readonly tokens: ReadonlyArray<number>
  readonly logits: Tensor
  readonly logits_lora: Tensor
  readonly rope_scaling?: { readonly config: object; readonly logits: Tensor }
  readonly rank: number
  readonly lora: Lora
  readonly data: Record<string, ReadonlyArray<JsonDatum>>
  readonly cases: ReadonlyArray<{
    readonly name: string
    readonly loss_fn: string
    readonly config: Record<string, number>
    readonly data: string
    readonly zero_b: boolean
    readonly switches: { readonly train_attn: boolean; readonly train_mlp: boolean; readonly train_unembed: boolean }
    readonly loss: number
    readonly logprobs: ReadonlyArray<Tensor>
    readonly grads: Lora
  }>
  readonly adamw: ReadonlyArray<{
    readonly name: string
    readonly adam: Record<"learning_rate" | "beta1" | "beta2" | "eps" | "weight_decay" | "grad_clip_norm", number>
    readonly data: string
    readonly loss_fn: string
    readonly rank: number
    readonly lora: Lora
    readonly steps: ReadonlyArray<{ readonly loss: number; readonly grad_norm: number; readonly lora: Lora }>
  }>
}

/** The path of a fixture. */
export const path = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** Parses a JSON fixture. */
export const read = <A>(name: string): A => JSON.parse(readFileSync(path(name), "utf8")) as A

export const decodeTensor = ({ f32 }: Tensor): Float32Array => {
  const bytes = Uint8Array.from(Buffer.from(f32, "base64"))
  return new Float32Array(bytes.buffer)
}

export const datum = ({ tokens, ...inputs }: JsonDatum): Datum.Datum =>
  Datum.make({ model_input: tokens, loss_fn_inputs: inputs as Record<string, TensorData.Values> })

/** The values of an adapter by their names in PEFT. */
export const peftArrays = (lora: Lora): Record<string, Float32Array> =>
  Object.fromEntries(
    Object.entries(lora).flatMap(([name, ab]) =>
      (["A", "B"] as const).map(
        (matrix) => [`base_model.model.${name}.lora_${matrix}.weight`, decodeTensor(ab[matrix])] as const
      )
    )
  )

/** The largest difference, relative to the largest expected value. */
const relativeDistance = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  assert.strictEqual(actual.length, expected.length)
  let scale = 0
  let largest = 0
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!))
    const difference = Math.abs(actual[i]! - expected[i]!)
    // this form of comparison propagates NaN
    largest = difference <= largest ? largest : difference
  }
  return scale === 0 ? largest : largest / scale
}

/** Asserts that values differ by at most `tolerance` times the largest expected value. */
export const assertNear = (
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what = "",
  tolerance = 1e-4
): void => {
  const distance = relativeDistance(actual, expected)
  assert.isTrue(distance <= tolerance, `${what}: off by ${distance} of the largest value`)
}

/** The executor of tests that do not choose one. */
export const defaultExecutor = (process.env["TEST_EXECUTOR"] ?? "wasm") as executors.Choice

/** Whether the optional package of the native executor can be loaded. */
export const isNativeAvailable = await import("onnxruntime-node" as string).then(
  () => true,
  () => {
    console.warn("onnxruntime-node cannot be loaded: tests of the native executor are skipped")
    return false
  }
)

export const availableExecutors: ReadonlyArray<"wasm" | "native"> = isNativeAvailable ? ["wasm", "native"] : ["wasm"]

/** Loads a base model, named `test`, on a new executor. */
export const load = (
  directory: string,
  maxTokensPerRun?: number,
  choice: executors.Choice = defaultExecutor,
  options: { readonly deterministic?: boolean; readonly quantizedSampling?: boolean; readonly packed?: boolean } = {}
) =>
  Effect.gen(function* () {
    const { executor } = yield* executors.make(choice, 1)
    const model = yield* ModelDirectory.open(directory)
    const packed = options.packed === true ? yield* ModelDirectory.packedWeights(model) : undefined
    const weights = packed ?? (yield* ModelDirectory.weights(model))
    const matrices = options.quantizedSampling === true ? yield* ModelDirectory.quantizedWeights(model) : undefined
    const quantized = matrices && { key: "test", matrices }
    const all = { maxTokensPerRun, memoryBudget: 2 ** 34, ...options }
    return yield* loaded.load("test", model, weights, executor, all, quantized)
  }).pipe(Effect.provide(NodeContext.layer))

/** The fixture of `tiny-qwen3`. */
export const qwen = read<Tiny>("tiny-qwen3.json")

/** Loads `tiny-qwen3` as the base model `test`, on a new executor. */
export const loadQwen = (maxTokensPerRun?: number, choice?: executors.Choice) =>
  load(path("tiny-qwen3"), maxTokensPerRun, choice)

/** An adapter of the base model `test` with the given values by their names in PEFT. */
export const makeAdapter = (
  arrays: Record<string, Float32Array>,
  rank: number,
  trained: typeof trainAll = trainAll
): Engine.Adapter => ({
  base_model: "test",
  lora_config: { rank, ...trained },
  lora_alpha: 32,
  weights: Object.fromEntries(Object.entries(arrays).map(([name, data]) => [name, { shape: [data.length], data }]))
})

/** Asserts that an effect fails with an `EngineError` of the category `user`, and returns its reason. */
export const userErrorReason = <A, R>(
  effect: Effect.Effect<A, Engine.EngineError, R>
): Effect.Effect<string, never, R> =>
  effect.pipe(
    Effect.flip,
    Effect.map((error) => {
      assert.strictEqual(error.category, "user")
      return error.reason
    }),
    Effect.orDie
  )

/**
 * The accumulated gradient of a model by the names in PEFT. The weights and the optimizer state of the model change.
 */
export const takeGradient = (model: Engine.EngineModel) =>
  Effect.gen(function* () {
    // with beta1 = 0, the first moment is the gradient
    yield* model.optimStep({ ...adamParams, learning_rate: 0, beta1: 0 })
    return (yield* model.optimizer).first
  })
