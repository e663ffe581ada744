import type * as Model from "@effect-tinker/api/Model"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as adam from "./adam.ts"
import * as baseModel from "../model/loaded.ts"
import * as decoder from "../model/transformer.ts"
import { userError } from "../util/errors.ts"
import type { Data, Stored } from "../executors/executor.ts"
import * as lora from "../lora/layout.ts"
import * as losses from "./losses.ts"
import * as packing from "./packing.ts"

const orUserError = <A>(either: Either.Either<A, string>): Effect.Effect<A, Engine.EngineError> =>
  Either.isRight(either) ? Effect.succeed(either.right) : Effect.fail(userError(either.left))

const fillFrom = (target: Float32Array | Int32Array, offset: number, source: ArrayLike<number> | undefined): void => {
  if (source !== undefined) target.set(source, offset)
}

/** What a run reads besides weights and adapter. */
const runInputs = (
  base: baseModel.BaseModel,
  pack: packing.Pack,
  data: ReadonlyArray<losses.Prepared>,
  targets: number,
  backward: boolean
): Record<string, Data> => {
  const { length, places, rows } = pack
  const n = rows * length
  const positions = new Int32Array(n)
  const embedded: Array<readonly [number, number]> = []
  const tokens = new Int32Array(n * targets)
  const slopes = backward
    ? Object.fromEntries(
        decoder.slopeInputs.map((name) => [name, new Float32Array(n * targets).fill(losses.absent[name])])
      )
    : {}
  for (const { column, item, row } of places) {
    const datum = data[item]!
    const start = row * length + column
    for (let i = 0; i < datum.tokens.length; i++) {
      positions[start + i] = i
      embedded.push([start + i, datum.tokens[i]!])
    }
    tokens.set(datum.targetTokens, start * targets)
    for (const [name, target] of Object.entries(slopes)) {
      fillFrom(target, start * targets, datum.slope[name as losses.SlopeInput])
    }
  }
  return {
    x: baseModel.embed(base, n, embedded),
    ...baseModel.rotations(base, positions),
    mask: packing.mask(
      pack,
      data.map((datum) => datum.tokens.length)
    ),
    tokens,
    ...slopes
  }
}

/** The logprobs of a datum's targets in the outputs of a run. */
const logprobsOf = (
  datum: losses.Prepared,
  start: number,
  shifted: Float32Array,
  totals: Float32Array
): Float32Array => {
  const { targets } = datum
  const out = new Float32Array(datum.targetTokens.length)
  for (let i = 0; i < out.length; i++) {
    // the logarithm is taken here, as those of executors are less exact
    out[i] = shifted[start * targets + i]! - Math.log(totals[start + Math.floor(i / targets)]!)
  }
  return out
}

const tensor = (data: Float32Array, datum: losses.Prepared, rank: number): TensorData.TensorData => ({
  dtype: "float32",
  data,
  shape: rank === 1 ? [data.length] : [datum.tokens.length, datum.targets]
})

interface Passed {
  readonly output: Training.ForwardBackwardOutput
  readonly gradient: Float32Array
}

/** A fresh adapter in training. @internal */
export const make = (
  base: baseModel.BaseModel,
  given: Model.LoraConfig
): Effect.Effect<Engine.EngineModel, Engine.EngineError> =>
  Effect.gen(function* () {
    const seed = given.seed ?? (yield* Random.nextIntBetween(0, 2 ** 31))
    const loraConfig: Model.LoraConfig = { ...given, seed }
    const layout = yield* orUserError(lora.layout(base.config, loraConfig))
    let alpha = lora.alpha
    let values = lora.init(layout, seed)
    let state = adam.init(layout.size)
    const gradient = new Float32Array(layout.size)

    const prepare = (options: Engine.PassOptions) =>
      Effect.gen(function* () {
        const { data, loss_fn, loss_fn_config } = options
        const wrong = losses.problem(loss_fn, loss_fn_config)
        if (wrong !== undefined) return yield* userError(wrong)
        const out: Array<losses.Prepared> = []
        for (let i = 0; i < data.length; i++) {
          const prepared = losses.prepare(data[i]!, loss_fn, loss_fn_config, base.config.vocab_size)
          if (Either.isLeft(prepared)) return yield* userError(`data[${i}].${prepared.left}`)
          yield* baseModel.checkLength(base, prepared.right.tokens.length, `data[${i}].model_input`)
          out.push(prepared.right)
        }
        return out
      })

    const weights = (): Record<string, Data | Stored> => {
      const parts = layout.parts.map((part) => [part.input, lora.view(values, part)] as const)
      return {
        ...base.stored,
        ...Object.fromEntries(parts),
        vocabulary: base.vocabulary,
        scaling: Float32Array.of(alpha / layout.rank)
      }
    }

    // Datums with different numbers of targets go into different runs.
    const pass = (options: Engine.PassOptions, backward: boolean): Effect.Effect<Passed, Engine.EngineError> =>
      Effect.gen(function* () {
        const data = yield* prepare(options)
        const shared = weights()
        const sum = new Float32Array(backward ? layout.size : 0)
        const outputs: Array<Record<string, TensorData.TensorData>> = data.map(() => ({}))
        let total = 0
        for (const targets of new Set(data.map((datum) => datum.targets))) {
          const members = data.flatMap((datum, index) => (datum.targets === targets ? [index] : []))
          const group = members.map((index) => data[index]!)
          const lengths = group.map((datum) => datum.tokens.length)
          for (const pack of packing.pack(lengths, base.maxTokensPerRun)) {
            const shape = { rows: pack.rows, length: pack.length, targets }
            const program = decoder.training(base.config, layout.linears, layout.rank, shape, backward)
            const executable = yield* base.executor.compile(program)
            const inputs = { ...shared, ...runInputs(base, pack, group, targets, backward) }
            const [shifted, totals, ...gradients] = yield* executable.run(inputs)
            for (const { column, item, row } of pack.places) {
              const datum = group[item]!
              const logprobs = logprobsOf(datum, row * pack.length + column, shifted!, totals!)
              const elementwise = datum.lossOf(logprobs)
              for (const loss of elementwise) total += loss
              const index = members[item]!
              const rank = options.data[index]!.loss_fn_inputs["target_tokens"]!.shape?.length ?? 1
              outputs[index] = {
                logprobs: tensor(logprobs, datum, rank),
                elementwise_loss: tensor(elementwise, datum, rank)
              }
            }
            gradients.forEach((part, i) => {
              const { offset } = layout.parts[i]!
              for (let j = 0; j < part.length; j++) sum[offset + j] = sum[offset + j]! + part[j]!
            })
          }
        }
        return {
          output: {
            loss_fn_output_type: "ArrayRecord",
            loss_fn_outputs: outputs,
            metrics: { "loss:sum": total }
          },
          gradient: sum
        }
      })

    const model: Engine.EngineModel = {
      forward: (options) => Effect.map(pass(options, false), ({ output }) => output),
      // the gradient is added at the end, so that a pass that fails or is interrupted leaves none of its parts
      forwardBackward: (options) =>
        Effect.map(pass(options, true), (passed) => {
          for (let i = 0; i < gradient.length; i++) gradient[i] = gradient[i]! + passed.gradient[i]!
          return passed.output
        }),
      optimStep: (params) =>
        Effect.suspend(() => {
          const length = adam.norm(gradient)
          if (!Number.isFinite(length)) {
            gradient.fill(0)
            return userError(
              "the gradient is not finite, so no step was taken and the gradient was dropped: " +
                "look for losses that are NaN or infinite, such as of logprobs far from the model's own"
            )
          }
          adam.update(values, gradient, state, params, length)
          gradient.fill(0)
          return Effect.succeed({ metrics: { "unclipped_grad_l2:mean": length } })
        }),
      adapter: Effect.sync(() => ({
        base_model: base.name,
        lora_config: loraConfig,
        lora_alpha: alpha,
        weights: lora.toWeights(layout, values)
      })),
      optimizer: Effect.sync(() => ({
        step: state.step,
        first: lora.toArrays(layout, state.first),
        second: lora.toArrays(layout, state.second)
      })),
      load: (adapter, optimizer) =>
        Effect.gen(function* () {
          const loaded = yield* orUserError(lora.fromAdapter(layout, adapter, base.name))
          const moments =
            optimizer === undefined
              ? adam.init(layout.size)
              : {
                  step: optimizer.step,
                  first: yield* orUserError(lora.fromArrays(layout, optimizer.first, "optimizer state")),
                  second: yield* orUserError(lora.fromArrays(layout, optimizer.second, "optimizer state"))
                }
          values = loaded
          alpha = adapter.lora_alpha
          state = moments
          gradient.fill(0)
        })
    }
    return model
  })
