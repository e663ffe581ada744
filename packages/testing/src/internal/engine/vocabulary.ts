/** What the test engine checks and allocates by the size of its vocabulary. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type * as bigram from "./bigram.ts"
import { Rows, type Table } from "./distribution.ts"

/** @internal */
export const maxContextLength = 1024

/** The name of the one weight of an adapter. @internal */
export const weightName = "base_model.model.bigram.weight"

/** @internal */
export const userError = (reason: string) => new Engine.EngineError({ reason, category: "user" })

/** @internal */
export const checkLength = (length: number, what: string): Effect.Effect<void, Engine.EngineError> =>
  length <= maxContextLength
    ? Effect.void
    : userError(`${what} has ${length} tokens, but the context length is ${maxContextLength}`)

/** @internal */
export class Vocabulary {
  readonly size: number
  /** the number of weights: one for each pair of tokens */
  private readonly area: number
  private base: Rows | undefined

  constructor(size: number) {
    this.size = size
    this.area = size * size
  }

  /** The tokens of an input, if the engine supports it. */
  checkInput(input: ModelInput.ModelInput, what: string): Effect.Effect<Int32Array, Engine.EngineError> {
    return Effect.suspend(() => {
      if (!ModelInput.isText(input)) return userError(`${what} has chunks that are not text`)
      const tokens = ModelInput.toTokens(input)
      if (tokens.length === 0) return userError(`${what} is empty`)
      return checkLength(tokens.length, what).pipe(
        Effect.flatMap(() => failWith(this.tokensProblem(tokens, what))),
        Effect.as(tokens)
      )
    })
  }

  checkData(data: ReadonlyArray<Datum.Datum>): Effect.Effect<void, Engine.EngineError> {
    return Effect.forEach(
      data,
      (datum, index) =>
        Effect.andThen(
          failWith(this.targetsProblem(datum, index)),
          this.checkInput(datum.model_input, `data[${index}].model_input`)
        ),
      { discard: true }
    )
  }

  /** Why the engine cannot read data that the service has checked; `undefined` if it can. */
  dataProblem(data: ReadonlyArray<Datum.Datum>): string | undefined {
    for (const [index, datum] of data.entries()) {
      const tokens = ModelInput.toTokens(datum.model_input)
      const problem = this.targetsProblem(datum, index) ?? this.tokensProblem(tokens, `data[${index}].model_input`)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  emptyTable(): Table {
    return { size: this.size, values: this.zeros() }
  }

  /** The distributions of the base model. */
  get baseRows(): Rows {
    return (this.base ??= new Rows(this.emptyTable()))
  }

  zeros(): Float32Array {
    return new Float32Array(this.area)
  }

  /** The state of AdamW: a copy of `state`, or a new one. */
  adamOf(state: Engine.OptimizerState | undefined): bigram.Adam {
    const moments = (values: Float32Array | undefined) =>
      values === undefined ? this.zeros() : Float32Array.from(values)
    return {
      step: state?.step ?? 0,
      first: moments(state?.first[weightName]),
      second: moments(state?.second[weightName])
    }
  }

  /** A copy of the weights of an adapter. */
  tableOf(adapter: Engine.Adapter): Effect.Effect<Table, Engine.EngineError> {
    const weight = adapter.weights[weightName]
    return weight === undefined || weight.data.length !== this.area
      ? Effect.fail(userError(`the adapter has no ${weightName} of ${this.area} values`))
      : Effect.succeed({ size: this.size, values: weight.data.slice() })
  }

  private targetsProblem({ loss_fn_inputs }: Datum.Datum, index: number): string | undefined {
    const targets = loss_fn_inputs["target_tokens"]!
    const path = `data[${index}].loss_fn_inputs.target_tokens`
    return targets.shape !== undefined && targets.shape.length > 1
      ? `${path} has more than one dimension`
      : this.tokensProblem(targets.data, path)
  }

  private tokensProblem(tokens: ArrayLike<number | bigint>, what: string): string | undefined {
    const index = findUnknown(tokens, this.size)
    return index < 0 ? undefined : `${what}[${index}] is ${tokens[index]}, but the vocabulary has ${this.size} tokens`
  }
}

const failWith = (problem: string | undefined): Effect.Effect<void, Engine.EngineError> =>
  problem === undefined ? Effect.void : userError(problem)

/** The index of the first token that is not in the vocabulary; -1 if all are. */
const findUnknown = (tokens: ArrayLike<number | bigint>, size: number): number => {
  for (let i = 0; i < tokens.length; i++) {
    if (!(tokens[i]! >= 0 && tokens[i]! < size)) return i
  }
  return -1
}
