/**
 * Keeps the service busy: while one step's result is awaited, the next steps are already submitted.
 *
 * ```ts
 * const results = batches.pipe(
 *   Pipeline.steps({
 *     submit: (batch) =>
 *       Effect.zipWith(
 *         training.forwardBackward(batch, "cross_entropy"),
 *         training.optimStep({ learning_rate: 1e-3 }),
 *         (forward, update) => Fiber.zip(forward, update)
 *       )
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<B, A, E, E2, R2> {
  /** Submits the step of a batch and returns its future; `index` counts from 0. */
  readonly submit: (batch: B, index: number) => Effect.Effect<Fiber.Fiber<A, E>, E2, R2>
  /** how many steps are submitted beyond the one whose result is awaited; 1 by default, 0 for none */
  readonly ahead?: number | undefined
}

/**
 * Turns batches into the results of their steps, in order. Before a result is awaited, as many further steps as `ahead`
 * says are submitted, no more and no fewer while there are batches. When the batches end or fail, the results of what
 * was submitted still come; when a step fails, what was submitted behind it is awaited before the stream fails, so that
 * nothing is left under way.
 *
 * @since 0.1.0
 * @category combinators
 */
export const steps: {
  <B, A, E, E2, R2>(
    options: Options<B, A, E, E2, R2>
  ): <E1, R1>(batches: Stream.Stream<B, E1, R1>) => Stream.Stream<A, E | E1 | E2, R1 | R2>
  <B, E1, R1, A, E, E2, R2>(
    batches: Stream.Stream<B, E1, R1>,
    options: Options<B, A, E, E2, R2>
  ): Stream.Stream<A, E | E1 | E2, R1 | R2>
} = dual(
  2,
  <B, E1, R1, A, E, E2, R2>(
    batches: Stream.Stream<B, E1, R1>,
    options: Options<B, A, E, E2, R2>
  ): Stream.Stream<A, E | E1 | E2, R1 | R2> =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const ahead = Math.max(0, options.ahead ?? 1)
        const pull = yield* Stream.toPull(batches)
        const waiting: Array<B> = []
        const submitted: Array<Fiber.Fiber<A, E>> = []
        let index = 0
        // why no further batch comes: the batches ended, or the cause of a failure
        let end: Cause.Cause<Option.Option<E | E1 | E2>> | undefined

        const stop = (cause: Cause.Cause<Option.Option<E | E1 | E2>>) =>
          Effect.sync(() => {
            end = cause
          })

        const submitNext = Effect.gen(function* () {
          if (waiting.length === 0) {
            const pulled = yield* Effect.exit(pull)
            if (Exit.isFailure(pulled)) return yield* stop(pulled.cause)
            for (const batch of pulled.value) waiting.push(batch)
            return
          }
          // once it is submitted, it must also be known here
          const exit = yield* Effect.uninterruptible(
            Effect.tap(Effect.exit(options.submit(waiting.shift()!, index++)), (exit) => {
              if (Exit.isSuccess(exit)) submitted.push(exit.value)
            })
          )
          if (Exit.isFailure(exit)) yield* stop(Cause.map(exit.cause, Option.some))
        })

        const next: Effect.Effect<A, Option.Option<E | E1 | E2>, R1 | R2> = Effect.gen(function* () {
          while (end === undefined && submitted.length <= ahead) yield* submitNext
          const fiber = submitted.shift()
          if (fiber === undefined) return yield* Effect.failCause(end!)
          const exit = yield* Fiber.await(fiber)
          if (Exit.isSuccess(exit)) return exit.value
          yield* Effect.forEach(submitted, Fiber.await, { concurrency: "unbounded", discard: true })
          return yield* Effect.failCause(Cause.map(exit.cause, Option.some))
        })

        return Stream.repeatEffectOption(next)
      })
    )
)
