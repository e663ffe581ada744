import * as Datum from "@effect-tinker/api/Datum"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"
import { NodeContext } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as loaded from "../../src/internal/model/loaded.ts"
import * as executors from "../../src/internal/executors/choose.ts"
import * as ModelDirectory from "../../src/ModelDirectory.ts"

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

export const path = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

export const read = <A>(name: string): A => JSON.parse(readFileSync(path(name), "utf8")) as A

export const floats = ({ f32 }: Tensor): Float32Array => {
  const bytes = Uint8Array.from(Buffer.from(f32, "base64"))
  return new Float32Array(bytes.buffer)
}

export const datum = ({ tokens, ...inputs }: JsonDatum): Datum.Datum =>
  Datum.make({ model_input: tokens, loss_fn_inputs: inputs as Record<string, TensorData.Values> })

/** PEFT's names for the values of a fixture. */
export const peft = (lora: Lora): Record<string, Float32Array> =>
  Object.fromEntries(
    Object.entries(lora).flatMap(([name, ab]) =>
      (["A", "B"] as const).map((part) => [`base_model.model.${name}.lora_${part}.weight`, floats(ab[part])] as const)
    )
  )

/** Largest difference, in units of the largest expected value. */
export const distance = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  assert.strictEqual(actual.length, expected.length)
  let scale = 0
  let most = 0
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!))
    const difference = Math.abs(actual[i]! - expected[i]!)
    // NaN must not pass for 0
    most = difference <= most ? most : difference
  }
  return scale === 0 ? most : most / scale
}

export const near = (actual: ArrayLike<number>, expected: ArrayLike<number>, what = "", tolerance = 1e-4): void => {
  const far = distance(actual, expected)
  assert.isTrue(far <= tolerance, `${what}: off by ${far} of the largest value`)
}

/** What computes in tests that do not say. */
export const executor = (process.env["TEST_EXECUTOR"] ?? "wasm") as executors.Choice

/** The native executor is optional. */
export const isNativeHere = await import("onnxruntime-node" as string).then(
  () => true,
  () => {
    console.warn("onnxruntime-node does not load: tests of the native executor are skipped")
    return false
  }
)

/** The executors that there are here. */
export const executorsHere: ReadonlyArray<"wasm" | "native"> = isNativeHere ? ["wasm", "native"] : ["wasm"]

/** A base model of a fixture directory, on an executor of its own. */
export const load = (directory: string, maxTokensPerRun?: number, choice: executors.Choice = executor) =>
  Effect.gen(function* () {
    const executor = yield* executors.make(choice, 1)
    const model = yield* ModelDirectory.open(directory)
    const weights = yield* ModelDirectory.weights(model)
    return yield* loaded.load("test", model, weights, executor, maxTokensPerRun)
  }).pipe(Effect.provide(NodeContext.layer))

export const switches = { train_attn: true, train_mlp: true, train_unembed: true }

/** An adapter with the given values by PEFT's names. */
export const adapterOf = (
  arrays: Record<string, Float32Array>,
  rank: number,
  chosen: typeof switches = switches
): Engine.Adapter => ({
  base_model: "test",
  lora_config: { rank, ...chosen },
  lora_alpha: 32,
  weights: Object.fromEntries(Object.entries(arrays).map(([name, data]) => [name, { shape: [data.length], data }]))
})

export const noConfig = {}

export const adamParams: Training.AdamParams = {
  learning_rate: 1e-2,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-12,
  weight_decay: 0,
  grad_clip_norm: 0
}

/** Fails with an `EngineError` of the user's, whose reason is returned. */
export const refusal = <A, R>(effect: Effect.Effect<A, Engine.EngineError, R>): Effect.Effect<string, never, R> =>
  effect.pipe(
    Effect.flip,
    Effect.map((error) => {
      assert.strictEqual(error.category, "user")
      return error.reason
    }),
    Effect.orDie
  )

/** The gradient that a model has accumulated, by PEFT's names; the model's optimizer and weights are spoilt. */
export const takeGradient = (model: Engine.EngineModel) =>
  Effect.gen(function* () {
    // without momentum the first moment is the gradient itself
    yield* model.optimStep({ ...adamParams, learning_rate: 0, beta1: 0 })
    return (yield* model.optimizer).first
  })
