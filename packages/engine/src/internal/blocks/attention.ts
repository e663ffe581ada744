/** Attention of all positions, a pair of blocks of queries and keys at a time. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Executable, Inputs } from "../executors/executor.ts"
import { maskedScore } from "../model/attentionMask.ts"
import { type BlockContext, yieldTurn } from "./context.ts"
import * as sequences from "./sequence.ts"

/** Queries (positions, num_heads, head_dim); keys and values (positions, num_kv_heads, head_dim). @internal */
export interface Projected {
  readonly queries: Float32Array
  readonly keys: Float32Array
  readonly values: Float32Array
}

/** The output (positions, num_heads, head_dim), and the log-sum-exp of scores (positions, num_heads). @internal */
export interface Attended {
  readonly output: Float32Array
  readonly logSumExp: Float32Array
}

/** @internal */
export const makeKeys = ({ model: { config }, sequence }: BlockContext): Pick<Projected, "keys" | "values"> => {
  const size = sequences.positionsOf(sequence) * config.num_kv_heads * config.head_dim
  return { keys: new Float32Array(size), values: new Float32Array(size) }
}

/** @internal */
export const makeQueries = ({ model: { config }, sequence }: BlockContext): Float32Array =>
  new Float32Array(sequences.positionsOf(sequence) * config.num_heads * config.head_dim)

/** @internal */
export const makeProjected = (context: BlockContext): Projected => ({
  queries: makeQueries(context),
  ...makeKeys(context)
})

const makeAttendedOf = ({ model: { config } }: BlockContext, positions: number): Attended => ({
  output: new Float32Array(positions * config.num_heads * config.head_dim),
  logSumExp: new Float32Array(positions * config.num_heads)
})

/** @internal */
export const makeAttended = (context: BlockContext): Attended =>
  makeAttendedOf(context, sequences.positionsOf(context.sequence))

/** The inputs of a pair of blocks that both of its programs have. */
const pairInputs = (
  { sequence }: BlockContext,
  { keys, queries, values }: Projected,
  queryBlock: number,
  keyBlock: number
): Inputs => ({
  queries: sequences.blockOf(sequence, queries, queryBlock),
  keys: sequences.blockOf(sequence, keys, keyBlock),
  values: sequences.blockOf(sequence, values, keyBlock),
  columns: sequence.columns,
  ...sequences.visibleColumns(sequence, queryBlock, keyBlock)
})

/** Writes the attention outputs of all positions to `attended`. @internal */
export const attend = (
  context: BlockContext,
  pair: Executable,
  projected: Projected,
  attended: Attended
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { sequence } = context
    let [result, next] = [makeAttendedOf(context, sequence.size), makeAttendedOf(context, sequence.size)]
    for (let queries = 0; queries < sequence.count; queries++) {
      result.output.fill(0)
      result.logSumExp.fill(maskedScore)
      // a position sees itself, so that after the first pair of blocks it has seen a key
      for (let keys = queries; keys >= sequences.firstKeyBlock(sequence, queries); keys--) {
        const inputs = {
          ...pairInputs(context, projected, queries, keys),
          output: result.output,
          log_sum_exp: result.logSumExp
        }
        yield* pair.run(inputs, [next.output, next.logSumExp])
        ;[result, next] = [next, result]
      }
      sequences.blockOf(sequence, attended.output, queries).set(result.output)
      sequences.blockOf(sequence, attended.logSumExp, queries).set(result.logSumExp)
      yield* yieldTurn(context)
    }
  })

/** Adds values in place. @internal */
export const addTo = (sum: Float32Array, values: Float32Array): void => {
  for (let i = 0; i < values.length; i++) sum[i] = sum[i]! + values[i]!
}

/** The gradients of queries, keys and values, from the gradient of the attention outputs. @internal */
export const attendGradient = (
  context: BlockContext,
  pairGradient: Executable,
  projected: Projected,
  attended: Attended,
  gradient: Float32Array,
  into: Projected
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { sequence } = context
    for (const values of [into.queries, into.keys, into.values]) values.fill(0)
    for (let queries = 0; queries < sequence.count; queries++) {
      for (let keys = sequences.firstKeyBlock(sequence, queries); keys <= queries; keys++) {
        const [ofQueries, ofKeys, ofValues] = yield* pairGradient.run({
          ...pairInputs(context, projected, queries, keys),
          output: sequences.blockOf(sequence, attended.output, queries),
          log_sum_exp: sequences.blockOf(sequence, attended.logSumExp, queries),
          gradient: sequences.blockOf(sequence, gradient, queries)
        })
        addTo(sequences.blockOf(sequence, into.queries, queries), ofQueries!)
        addTo(sequences.blockOf(sequence, into.keys, keys), ofKeys!)
        addTo(sequences.blockOf(sequence, into.values, keys), ofValues!)
      }
      yield* yieldTurn(context)
    }
  })
