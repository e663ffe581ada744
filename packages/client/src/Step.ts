/**
 * One step of training that is submitted once, however often a program waits for it. `Effect.retry` around "submit, then
 * join" applies the same gradients again; around a step it only waits again:
 *
 * ```ts
 * const step = yield* Step.make(
 *   Effect.gen(function* () {
 *     const forward = yield* training.forwardBackward(batch, "cross_entropy")
 *     const update = yield* training.optimStep({ learning_rate: 1e-4 })
 *     return Effect.all([Fiber.join(forward), Fiber.join(update)])
 *   })
 * )
 * const [output] = yield* step.pipe(Effect.timeout("1 minute"), Effect.retry({ times: 3 }))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/**
 * A step from the effect that submits it and returns the wait for its result, such as that of `Pipeline.steps`. It is
 * submitted by the first run of the returned effect, which cannot be interrupted meanwhile; each later run waits for the
 * same result. A step that has failed fails again in the same way, and is never sent again.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, E, E2, R, R2>(
  submit: Effect.Effect<Effect.Effect<A, E, R>, E2, R2>
): Effect.Effect<Effect.Effect<A, E | E2, R | R2>> =>
  Effect.map(Effect.cached(Effect.uninterruptible(submit)), Effect.flatten)
