/**
 * Keeps the service busy: while the result of one step is awaited, the next steps are already submitted.
 *
 * ```ts
 * const results = batches.pipe(
 *   Pipeline.steps({
 *     submit: (batch) =>
 *       Effect.gen(function* () {
 *         const forward = yield* training.forwardBackward(batch, "cross_entropy")
 *         const update = yield* training.optimStep({ learning_rate: 1e-3 })
 *         return Effect.all([Fiber.join(forward), Fiber.join(update)])
 *       })
 *   })
 * )
 * ```
 *
 * A step is one unit: of one whose pass fails, what still waits in the client is not sent and fails with `StepRefused`, also
 * where the service had accepted the pass. The steps behind it go on. An update that was sent before its pass failed is the
 * service's to reject; one that it applied all the same is reported in the log.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Stream from "effect/Stream"
import { stepsAhead } from "./internal/training/stepsAhead.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<B, A, E, E2, R2> {
  /**
   * Submits the step of a batch, and returns the effect that waits for its result, such as a future. `index` counts from
   * 0.
   */
  readonly submit: (batch: B, index: number) => Effect.Effect<Effect.Effect<A, E>, E2, R2>
  /** steps to submit beyond the one whose result is awaited; 1 by default, 0 for none */
  readonly ahead?: number | undefined
}

/**
 * Turns batches into the results of their steps, in order. Before it awaits a result, exactly `ahead` further steps are
 * submitted, as long as there are batches. When the batches end or fail, the results of the submitted steps are still
 * emitted. When a step fails, the results of the steps behind it are awaited before the stream fails, so that nothing is
 * left in progress.
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
    { ahead = 1, submit }: Options<B, A, E, E2, R2>
  ): Stream.Stream<A, E | E1 | E2, R1 | R2> => Stream.unwrapScoped(stepsAhead(batches, submit, ahead))
)
