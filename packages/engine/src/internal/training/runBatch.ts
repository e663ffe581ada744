/** Runs a batch of data through the model: validates it, packs it into microbatches, and collects their outputs. */
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Inputs } from "../executors/executor.ts"
import { checkContextLength, type LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"
import { type AdapterState, programInputs } from "./adapterState.ts"
import * as datum from "./datum.ts"
import * as losses from "./losses.ts"
import * as microbatches from "./microbatch.ts"
import * as microbatchRun from "./microbatchRun.ts"
import * as packing from "./packing.ts"
import * as passMemory from "./passMemory.ts"

interface BatchResult {
  readonly output: Training.ForwardBackwardOutput
  /** of the whole batch; empty without `backward` */
  readonly gradient: Float32Array
}

const prepareData = (
  model: LoadedModel,
  { data, loss_fn, loss_fn_config }: Engine.PassOptions
): Effect.Effect<ReadonlyArray<datum.PreparedDatum>, Engine.EngineError> =>
  Effect.gen(function* () {
    const invalid = losses.problem(loss_fn, loss_fn_config)
    if (invalid !== undefined) return yield* userError(invalid)
    const prepared: Array<datum.PreparedDatum> = []
    for (let i = 0; i < data.length; i++) {
      const one = datum.prepare(data[i]!, loss_fn, loss_fn_config, model.config.vocab_size)
      if (Either.isLeft(one)) return yield* userError(`data[${i}].${one.left}`)
      yield* checkContextLength(model, one.right.tokens.length, `data[${i}].model_input`)
      prepared.push(one.right)
    }
    return prepared
  })

/** Data with the same number of targets per position, which can share a microbatch. */
interface Group {
  readonly targets: number
  readonly data: ReadonlyArray<datum.PreparedDatum>
  /** the index of each datum in the batch */
  readonly indices: ReadonlyArray<number>
}

const lengthsOf = ({ data }: Group): ReadonlyArray<number> => data.map(({ tokens }) => tokens.length)

const groupByTargets = (data: ReadonlyArray<datum.PreparedDatum>): ReadonlyArray<Group> =>
  [...new Set(data.map(({ targetsPerPosition }) => targetsPerPosition))].map((targets) => {
    const indices = data.flatMap(({ targetsPerPosition }, index) => (targetsPerPosition === targets ? [index] : []))
    return { targets, indices, data: indices.map((index) => data[index]!) }
  })

/** Collects the outputs of the microbatches. */
class BatchOutput {
  readonly outputs: Array<Record<string, TensorData.TensorData>>
  readonly gradient: Float32Array
  private readonly options: Engine.PassOptions
  private loss = 0

  constructor(options: Engine.PassOptions, gradientSize: number) {
    this.options = options
    this.outputs = options.data.map(() => ({}))
    this.gradient = new Float32Array(gradientSize)
  }

  /** Adds the logprobs of the datum at an index of the batch, and its loss. */
  addDatum(index: number, prepared: datum.PreparedDatum, logprobs: Float32Array): void {
    const elementwise = prepared.loss.elementwise(logprobs)
    for (const loss of elementwise) this.loss += loss
    const rank = this.options.data[index]!.loss_fn_inputs["target_tokens"]!.shape?.length ?? 1
    this.outputs[index] = {
      logprobs: microbatches.toTensorData(logprobs, prepared, rank),
      elementwise_loss: microbatches.toTensorData(elementwise, prepared, rank)
    }
  }

  /** Adds the gradient of the adapter matrix at an offset. */
  addGradient(offset: number, gradient: Float32Array): void {
    const sum = this.gradient
    for (let i = 0; i < gradient.length; i++) sum[offset + i] = sum[offset + i]! + gradient[i]!
  }

  finish(): BatchResult {
    return {
      output: {
        loss_fn_output_type: "ArrayRecord",
        loss_fn_outputs: this.outputs,
        metrics: { "loss:sum": this.loss }
      },
      gradient: this.gradient
    }
  }
}

interface Placed {
  readonly group: Group
  readonly microbatch: packing.Microbatch
}

const microbatchesOf = (model: LoadedModel, data: ReadonlyArray<datum.PreparedDatum>): ReadonlyArray<Placed> =>
  groupByTargets(data).flatMap((group) =>
    packing.pack(lengthsOf(group), model.maxTokensPerRun).map((microbatch) => ({ group, microbatch }))
  )

const tokensOf = (group: Group, { placements }: packing.Microbatch): number =>
  placements.reduce((sum, { index }) => sum + group.data[index]!.tokens.length, 0)

/** A microbatch with the data that it places. */
interface Run {
  readonly group: Group
  readonly microbatch: microbatchRun.MicrobatchRun
}

/** The target logprobs of each placed datum. */
const placedLogprobs = ({ group, microbatch: { microbatch } }: Run, { shifted, sumExp }: microbatchRun.Scores) =>
  microbatch.placements.map(({ column, index, row }) =>
    microbatches.logprobsAt(group.data[index]!, row * microbatch.length + column, shifted, sumExp)
  )

/** The derivatives of the loss. Where they depend on whole sequences, a forward pass computes the logprobs first. */
const lossGradsOf = (run: Run) =>
  Effect.gen(function* () {
    const { group, microbatch } = run
    const placed = microbatch.microbatch.placements.map(({ index }) => group.data[index]!.loss.grad)
    const logprobs = placed.some((grad) => typeof grad === "function")
      ? placedLogprobs(run, yield* microbatchRun.forward(microbatch))
      : []
    const grads = placed.map((grad, i) => (typeof grad === "function" ? grad(logprobs[i]!) : grad))
    return microbatches.lossGradValues(microbatch.microbatch, grads, group.targets)
  })

/** Returns whether the microbatch ran as a whole. */
const runMicrobatch = (
  state: AdapterState,
  weights: Inputs,
  group: Group,
  microbatch: packing.Microbatch,
  backward: boolean,
  result: BatchOutput
): Effect.Effect<boolean, Engine.EngineError> =>
  Effect.gen(function* () {
    const { data, targets } = group
    const inputs = microbatches.inputs(state.model, microbatch, data, targets)
    const run: Run = { group, microbatch: { state, weights, microbatch, lengths: lengthsOf(group), targets, inputs } }
    const scores = backward
      ? yield* microbatchRun.forwardBackward(run.microbatch, yield* lossGradsOf(run), (offset, gradient) =>
          result.addGradient(offset, gradient)
        )
      : yield* microbatchRun.forward(run.microbatch)
    const logprobs = placedLogprobs(run, scores)
    microbatch.placements.forEach(({ index }, i) => {
      result.addDatum(group.indices[index]!, data[index]!, logprobs[i]!)
    })
    return microbatchRun.isWhole(run.microbatch, backward)
  })

/**
 * Computes logprobs, losses and, with `backward`, the gradient of a batch. The state does not change, so a batch that
 * fails or is interrupted leaves no partial gradient.
 *
 * @internal
 */
export const runBatch = (
  state: AdapterState,
  options: Engine.PassOptions,
  backward: boolean
): Effect.Effect<BatchResult, Engine.EngineError> =>
  Effect.gen(function* () {
    const { layout, model } = state
    const data = yield* prepareData(model, options)
    const sequences = data.map(({ targetsPerPosition: targets, tokens }) => ({ tokens: tokens.length, targets }))
    const tooLarge = passMemory.problem(model, layout.size, sequences, backward)
    if (tooLarge !== undefined) return yield* userError(tooLarge)
    const sharedInputs = programInputs(state)
    const result = new BatchOutput(options, backward ? layout.size : 0)
    /** the tokens of the last microbatch, unless it has yielded turns for them */
    let computed = 0
    for (const { group, microbatch } of microbatchesOf(model, data)) {
      if (computed > 0) yield* Engine.yieldTurn(computed)
      const isWhole = yield* runMicrobatch(state, sharedInputs, group, microbatch, backward, result)
      computed = isWhole ? tokensOf(group, microbatch) : 0
    }
    return result.finish()
  })
