/**
 * Adapters for sampling. They are not merged into the weights: each row of a batch adds the product with its own, so that
 * sequences of several checkpoints share the weights of the base model, in few bits too, and a batch.
 */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Executor, StoredTensor } from "../executors/executor.ts"
import type * as architecture from "../model/architecture.ts"
import type { LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"
import * as layouts from "./layout.ts"
import * as weights from "./weights.ts"

/** An adapter that fits the base model; of rank 0, if the base model is sampled itself. @internal */
export interface RowAdapter {
  readonly rank: number
  /** alpha over rank */
  readonly scaling: number
  readonly linears: ReadonlyArray<architecture.Linear>
  /** its matrices by the names of inputs, such as `lm_head.A` */
  readonly matrices: { readonly [input: string]: Float32Array }
  /** the number of its values */
  readonly size: number
  /** whether other rows may share its products: those with what is not a number would spread */
  readonly isFinite: boolean
}

/** The base model itself. @internal */
export const none: RowAdapter = { rank: 0, scaling: 0, linears: [], matrices: {}, size: 0, isFinite: true }

/** Fails if the adapter does not fit the base model. @internal */
export const make = (model: LoadedModel, adapter: Engine.Adapter): Effect.Effect<RowAdapter, Engine.EngineError> =>
  Effect.gen(function* () {
    const layout = layouts.make(model.config, adapter.lora_config)
    if (Either.isLeft(layout)) return yield* userError(layout.left)
    const vector = weights.fromAdapter(layout.right, adapter, model.name)
    if (Either.isLeft(vector)) return yield* userError(vector.left)
    const { linears, matrices, rank, size } = layout.right
    return {
      rank,
      linears,
      size,
      scaling: adapter.lora_alpha / rank,
      matrices: Object.fromEntries(matrices.map((matrix) => [matrix.input, layouts.view(vector.right, matrix)])),
      isFinite: vector.right.every(Number.isFinite)
    }
  })

/** Several adapters side by side, as a program takes them. @internal */
export interface Stack {
  readonly adapters: ReadonlyArray<RowAdapter>
  /** the sum of their ranks */
  readonly rank: number
  /** the linear layers that any of them has */
  readonly parts: ReadonlyArray<architecture.Linear["part"]>
  /** (rank, in) and (out, rank) of each linear layer, by the names of inputs */
  readonly inputs: { readonly [input: string]: Float32Array }
}

const partsOf = (adapters: ReadonlyArray<RowAdapter>): Stack["parts"] => {
  const parts = new Set(adapters.flatMap(({ linears }) => linears.map(({ part }) => part)))
  return (["attn", "mlp", "unembed"] as const).filter((part) => parts.has(part))
}

/** The rows of all A, and the columns of all B. What an adapter does not have is 0. */
const stackLinear = (
  adapters: ReadonlyArray<RowAdapter>,
  rank: number,
  { in: columns, name, out: rows }: architecture.Linear
): ReadonlyArray<readonly [string, Float32Array]> => {
  const [a, b] = [new Float32Array(rank * columns), new Float32Array(rows * rank)]
  let first = 0
  for (const { matrices, rank: own } of adapters) {
    const [ownA, ownB] = [matrices[`${name}.A`], matrices[`${name}.B`]]
    if (ownA !== undefined) a.set(ownA, first * columns)
    for (let row = 0; ownB !== undefined && row < rows; row++) {
      for (let i = 0; i < own; i++) b[row * rank + first + i] = ownB[row * own + i]!
    }
    first += own
  }
  return [
    [`${name}.A`, a],
    [`${name}.B`, b]
  ]
}

/** @internal */
export const stack = (given: ReadonlyArray<RowAdapter>): Stack => {
  const adapters = given.filter((adapter) => adapter !== none)
  const rank = adapters.reduce((sum, { rank }) => sum + rank, 0)
  const parts = partsOf(adapters)
  const [only] = adapters
  if (only === undefined || adapters.length === 1) return { adapters, rank, parts, inputs: only?.matrices ?? {} }
  const linears = new Map(adapters.flatMap((adapter) => adapter.linears.map((linear) => [linear.name, linear])))
  const inputs = Array.from(linears.values(), (linear) => stackLinear(adapters, rank, linear)).flat()
  return { adapters, rank, parts, inputs: Object.fromEntries(inputs) }
}

/**
 * The input `scaling` (rows, rank) of programs: each row has the scaling of its adapter in the columns of that, and 0 in
 * all others.
 *
 * @internal
 */
export const scalings = (
  { adapters, rank }: Stack,
  rows: ReadonlyArray<RowAdapter>,
  count: number,
  out = new Float32Array(count * rank)
): Float32Array => {
  out.fill(0)
  rows.forEach((adapter, row) => {
    const place = adapters.indexOf(adapter)
    if (place < 0) return
    const first = row * rank + adapters.slice(0, place).reduce((sum, { rank }) => sum + rank, 0)
    out.fill(adapter.scaling, first, first + adapter.rank)
  })
  return out
}

/** Stores the matrices of a stack with an executor. @internal */
export const store = (
  executor: Executor,
  { inputs, rank }: Stack
): Effect.Effect<{ readonly [input: string]: StoredTensor }, Engine.EngineError> =>
  Effect.gen(function* () {
    const stored: Record<string, StoredTensor> = {}
    for (const [name, values] of Object.entries(inputs)) {
      const other = values.length / rank
      stored[name] = yield* executor.store(values, name.endsWith(".A") ? [rank, other] : [other, rank])
    }
    return stored
  })
