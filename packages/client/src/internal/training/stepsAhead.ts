/** Submits steps ahead of the one whose result is awaited, for `Pipeline`. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Submits the step of a batch, and returns the effect that waits for its result. */
type Submit<B, A, E, E2, R2> = (batch: B, index: number) => Effect.Effect<Effect.Effect<A, E>, E2, R2>

interface State<B, A, E, E1, E2, R1, R2> {
  readonly submit: Submit<B, A, E, E2, R2>
  /** number of steps to submit ahead */
  readonly ahead: number
  readonly pull: Effect.Effect<Iterable<B>, Option.Option<E1>, R1>
  /** batches that are not submitted yet */
  readonly waiting: Array<B>
  /** results of the submitted steps, oldest first */
  readonly submitted: Array<Effect.Effect<A, E>>
  nextIndex: number
  /** why no further step is submitted: the end of the batches, or a failure */
  end: Cause.Cause<Option.Option<E | E1 | E2>> | undefined
}

/** Pulls batches, or submits one that was pulled before. */
const submitNext = <B, A, E, E1, E2, R1, R2>(
  state: State<B, A, E, E1, E2, R1, R2>
): Effect.Effect<void, never, R1 | R2> =>
  Effect.gen(function* () {
    if (state.waiting.length === 0) {
      const pulled = yield* Effect.exit(state.pull)
      if (Exit.isFailure(pulled)) state.end = pulled.cause
      else for (const batch of pulled.value) state.waiting.push(batch)
      return
    }
    // uninterruptible, so that no step is submitted and then forgotten
    const submitting = Effect.tap(
      Effect.exit(Effect.suspend(() => state.submit(state.waiting.shift()!, state.nextIndex++))),
      (exit) => {
        if (Exit.isSuccess(exit)) state.submitted.push(exit.value)
      }
    )
    const exit = yield* Effect.uninterruptible(submitting)
    if (Exit.isFailure(exit)) state.end = Cause.map(exit.cause, Option.some)
  })

/** The result of the oldest step. If it failed, waits for the steps behind it, and then fails. */
const nextResult = <B, A, E, E1, E2, R1, R2>(
  state: State<B, A, E, E1, E2, R1, R2>
): Effect.Effect<A, Option.Option<E | E1 | E2>, R1 | R2> =>
  Effect.gen(function* () {
    const { ahead, submitted } = state
    while (state.end === undefined && submitted.length <= ahead) yield* submitNext(state)
    const result = submitted.shift()
    if (result === undefined) return yield* Effect.failCause(state.end!)
    const exit = yield* Effect.exit(result)
    if (Exit.isSuccess(exit)) return exit.value
    yield* Effect.forEach(submitted, Effect.exit, { concurrency: "unbounded", discard: true })
    return yield* Effect.failCause(Cause.map(exit.cause, Option.some))
  })

/** @internal */
export const stepsAhead = <B, E1, R1, A, E, E2, R2>(
  batches: Stream.Stream<B, E1, R1>,
  submit: Submit<B, A, E, E2, R2>,
  ahead: number
): Effect.Effect<Stream.Stream<A, E | E1 | E2, R1 | R2>, never, R1 | Scope.Scope> =>
  Effect.map(Stream.toPull(batches), (pull) => {
    const state: State<B, A, E, E1, E2, R1, R2> = {
      submit,
      ahead: Math.max(0, ahead),
      pull,
      waiting: [],
      submitted: [],
      nextIndex: 0,
      end: undefined
    }
    return Stream.repeatEffectOption(nextResult(state))
  })
