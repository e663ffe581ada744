/**
 * The tokens of a sample between the engine, which does not wait, and a reader. It holds no more than the response of the
 * sample would: a slow reader gets more tokens at a time.
 */
import type * as SampleLine from "@effect-tinker/api/SampleLine"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Engine from "../../Engine.ts"
import type * as outcomes from "../work/outcomes.ts"

/**
 * Tokens that were sampled since the reader last looked, of one sequence; or, last, the whole response. Each sequence has one
 * piece with a `stop_reason`, its last.
 *
 * @internal
 */
export type SampleEvent =
  | { readonly _tag: "Tokens"; readonly delta: SampleLine.SampleDelta }
  | { readonly _tag: "End"; readonly response: Sampling.SampleResponse }

interface Piece {
  readonly index: number
  readonly tokens: Array<number>
  readonly logprobs: Array<number>
  readonly topk_logprobs: Array<ReadonlyArray<readonly [number, number]>>
  stop_reason?: Sampling.SampledSequence["stop_reason"]
}

type Result = Exit.Exit<Sampling.SampleResponse, outcomes.Failure>

const toEvent = ({ index, logprobs, stop_reason, tokens, topk_logprobs }: Piece): SampleEvent => ({
  _tag: "Tokens",
  delta: {
    type: "sample_delta",
    index,
    tokens: Int32Array.from(tokens),
    logprobs: Float32Array.from(logprobs),
    ...(topk_logprobs.length === 0 ? {} : { topk_logprobs }),
    ...(stop_reason === undefined ? {} : { stop_reason })
  }
})

/** One reader takes what there is. @internal */
export class TokenBuffer {
  private pieces = new Map<number, Piece>()
  /** how many tokens of each sequence were added, and whether it has ended */
  private readonly known = new Map<number, { tokens: number; hasEnded: boolean }>()
  private result: Result | undefined
  private wake = () => {}

  private pieceOf(index: number): Piece {
    const before = this.pieces.get(index)
    if (before !== undefined) return before
    const piece: Piece = { index, tokens: [], logprobs: [], topk_logprobs: [] }
    this.pieces.set(index, piece)
    return piece
  }

  private append(index: number, token: number, logprob: number, topk: Engine.SampledToken["topk"]): Piece {
    const piece = this.pieceOf(index)
    piece.tokens.push(token)
    piece.logprobs.push(logprob)
    if (topk !== undefined) piece.topk_logprobs.push(topk)
    return piece
  }

  /** Adds a token that was just sampled. */
  add({ index, logprob, stop_reason, token, topk }: Engine.SampledToken): void {
    const known = this.known.get(index) ?? { tokens: 0, hasEnded: false }
    this.known.set(index, known)
    const piece = this.append(index, token, logprob, topk)
    known.tokens++
    if (stop_reason !== undefined) {
      piece.stop_reason = stop_reason
      known.hasEnded = true
    }
    this.wake()
  }

  /** Ends the stream; adds what the engine did not tell before. */
  end(result: Result): void {
    if (Exit.isSuccess(result)) result.value.sequences.forEach((sequence, index) => this.complete(sequence, index))
    this.result = result
    this.wake()
  }

  private complete({ logprobs, stop_reason, tokens, topk_logprobs }: Sampling.SampledSequence, index: number): void {
    const known = this.known.get(index) ?? { tokens: 0, hasEnded: false }
    for (let i = known.tokens; i < tokens.length; i++) {
      this.append(index, tokens[i]!, logprobs?.[i] ?? Number.NaN, topk_logprobs?.[i] ?? undefined)
    }
    if (!known.hasEnded) this.pieceOf(index).stop_reason = stop_reason
  }

  /** Waits for tokens or the end, and takes all. `undefined` when the end was taken before. */
  readonly take: Effect.Effect<ReadonlyArray<SampleEvent> | undefined, outcomes.Failure> = Effect.suspend(() =>
    this.pieces.size > 0 || this.result !== undefined ? this.takeNow() : Effect.andThen(this.arrival, this.take)
  )

  private readonly arrival: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      this.wake = () => {}
    })
  })

  private isTaken = false

  private takeNow(): Effect.Effect<ReadonlyArray<SampleEvent> | undefined, outcomes.Failure> {
    const { isTaken, pieces, result } = this
    if (isTaken) return Effect.succeed(undefined)
    this.pieces = new Map()
    const events = Array.from(pieces.values(), toEvent)
    if (result === undefined) return Effect.succeed(events)
    // the tokens before a failure come first
    if (events.length > 0 && Exit.isFailure(result)) return Effect.succeed(events)
    this.isTaken = true
    return Effect.map(result, (response) => [...events, { _tag: "End", response }])
  }
}
