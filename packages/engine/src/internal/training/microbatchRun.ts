/** Runs a microbatch: in one program, or layer by layer and block by block where this would take too much memory. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { BlockContext } from "../blocks/context.ts"
import * as head from "../blocks/head.ts"
import type * as headParts from "../blocks/headParts.ts"
import * as layers from "../blocks/layers.ts"
import * as sequences from "../blocks/sequence.ts"
import type { Inputs, TensorValues } from "../executors/executor.ts"
import * as memory from "../model/memory.ts"
import { mapRows } from "../model/rope.ts"
import * as programs from "../programs/forwardBackward.ts"
import type { AdapterState } from "./adapterState.ts"
import type { MicrobatchInputs } from "./microbatch.ts"
import * as packing from "./packing.ts"

/** The scores of the targets of all positions, by which `microbatch.ts` has their logprobs. @internal */
export type Scores = headParts.Scores

/** @internal */
export interface MicrobatchRun {
  readonly state: AdapterState
  /** weights and adapter */
  readonly weights: Inputs
  readonly microbatch: packing.Microbatch
  readonly lengths: ReadonlyArray<number>
  /** per position */
  readonly targets: number
  readonly inputs: MicrobatchInputs
}

/** What the backward pass needs besides. */
interface Backward {
  /** the inputs that define the derivative of the loss */
  readonly lossGrads: { readonly [name: string]: Float32Array }
  readonly addGradient: AddGradient
}

/** Receives gradients of matrices at offsets of the adapter, which have to be added up. */
type AddGradient = (offset: number, gradient: Float32Array) => void

const runWhole = (run: MicrobatchRun, backward: Backward | undefined): Effect.Effect<Scores, Engine.EngineError> =>
  Effect.gen(function* () {
    const { inputs, lengths, microbatch, state, targets, weights } = run
    const { layout, model } = state
    const shape = { rows: microbatch.rows, length: microbatch.length, targets }
    const program = programs.forwardBackward(model.config, layout.linears, layout.rank, shape, backward !== undefined)
    const executable = yield* model.executor.compile(program)
    const { ropes, ...values } = inputs
    const { sliding_window } = model.config
    const masks = {
      mask: packing.attentionMask(microbatch, lengths),
      ...(sliding_window && { "mask.sliding": packing.attentionMask(microbatch, lengths, sliding_window) })
    }
    const outputs = yield* executable.run({ ...weights, ...values, ...ropes, ...backward?.lossGrads, ...masks })
    const [shifted, sumExp, ...gradients] = outputs
    gradients.forEach((gradient, i) => backward?.addGradient(layout.matrices[i]!.offset, gradient))
    return { shifted: shifted!, sumExp: sumExp! }
  })

/** The positions of a microbatch, row after row. Blocks after the last text are left out. */
const sequenceOf = ({ lengths, microbatch, state }: MicrobatchRun): sequences.BlockedSequence => {
  const { length, placements, rows } = microbatch
  return sequences.make(
    Math.min(state.model.blocks.size, rows * length),
    placements.map(({ column, index, row }) => ({ start: row * length + column, length: lengths[index]! }))
  )
}

const contextOf = (run: MicrobatchRun, passes: 1 | 2): BlockContext => {
  const { inputs, state, weights } = run
  const sequence = sequenceOf(run)
  return {
    model: state.model,
    weights,
    adapter: { rank: state.layout.rank, parts: [...new Set(state.layout.linears.map(({ part }) => part))] },
    sequence,
    ropes: mapRows(inputs.ropes, (values) => shorten(run, sequence, values)),
    passes
  }
}

/** The values of a microbatch at the positions of the sequence. */
const shorten = <A extends TensorValues>(
  { microbatch: { length, rows } }: MicrobatchRun,
  sequence: sequences.BlockedSequence,
  values: A
): A => values.subarray(0, (values.length / (rows * length)) * sequences.positionsOf(sequence)) as A

/** Adds the gradient of a matrix that has a name. */
const addByName = ({ state }: MicrobatchRun, backward: Backward | undefined): layers.AddGradient | undefined => {
  if (backward === undefined) return undefined
  const offsets = new Map(state.layout.matrices.map(({ input, offset }) => [input, offset]))
  return (name, gradient, first = 0) => backward.addGradient(offsets.get(name)! + first, gradient)
}

const runInBlocks = (run: MicrobatchRun, backward: Backward | undefined): Effect.Effect<Scores, Engine.EngineError> =>
  Effect.gen(function* () {
    const context = contextOf(run, backward === undefined ? 1 : 2)
    const add = addByName(run, backward)
    const of = <A extends TensorValues>(values: A): A => shorten(run, context.sequence, values)
    const all = { targets: run.inputs.targets, ...backward?.lossGrads }
    const targets: head.Targets = {
      perPosition: run.targets,
      inputs: Object.fromEntries(Object.entries(all).map(([name, values]) => [name, of(values)]))
    }
    // the layers overwrite it
    const x = of(run.inputs.x).slice()
    if (add === undefined || context.adapter.parts.every((part) => part === "unembed")) {
      yield* layers.forward(context, x, () => undefined)
      return yield* head.score(context, x, targets, add)
    }
    const activations = yield* layers.forwardKeeping(context, x)
    const scores = yield* head.score(context, activations.output, targets, add)
    yield* layers.backward(context, activations, activations.output, add)
    return scores
  })

/** Whether a microbatch is computed in one program. Else it yields turns itself, from block to block. @internal */
export const isWhole = ({ microbatch: { length, rows }, state, targets }: MicrobatchRun, backward: boolean): boolean =>
  memory.runsWhole(state.model, { rows, length, targets, backward, logits: rows * length })

/** Both ways give equal results up to rounding. */
const run = (run: MicrobatchRun, backward: Backward | undefined): Effect.Effect<Scores, Engine.EngineError> =>
  isWhole(run, backward !== undefined) ? runWhole(run, backward) : runInBlocks(run, backward)

/**
 * The scores of the targets, in the order of the inputs.
 *
 * @internal
 */
export const forward = (microbatch: MicrobatchRun): Effect.Effect<Scores, Engine.EngineError> =>
  run(microbatch, undefined)

/** The scores of the targets, in the order of the inputs, and the gradient. @internal */
export const forwardBackward = (
  microbatch: MicrobatchRun,
  lossGrads: Backward["lossGrads"],
  addGradient: AddGradient
): Effect.Effect<Scores, Engine.EngineError> => run(microbatch, { lossGrads, addGradient })
