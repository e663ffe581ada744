/**
 * Losses of the program's own, computed on this side from the logprobs that the service gives, for
 * `TrainingClient.forwardBackwardCustom`.
 *
 * ```ts
 * // the entropy-free part of a policy gradient: loss = -sum(advantage * logprob)
 * const loss: CustomLoss.CustomLoss<Datum.Datum> = (data, logprobs) => ({
 *   loss: sum(data.map((datum, i) => -dot(advantagesOf(datum), logprobs[i]!.data))),
 *   gradients: data.map((datum) => advantagesOf(datum).map((advantage) => -advantage))
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as Effect from "effect/Effect"

/**
 * The logprobs of a datum's targets: flat, row-major; the shape is that of `target_tokens`, `[N]` or `[N, K]`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Logprobs {
  readonly data: Float32Array
  readonly shape: ReadonlyArray<number>
}

/**
 * What a loss gives: its value, and for each datum its derivative by that datum's logprobs, in their order. Metrics are
 * merged over those of the service; their names need no reduction.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly loss: number
  readonly gradients: ReadonlyArray<ArrayLike<number>>
  readonly metrics?: { readonly [name: string]: number } | undefined
}

/**
 * What a custom loss can be computed on: any datum that has targets; further inputs are the loss's own and are not sent.
 *
 * @since 0.1.0
 * @category models
 */
export type Target = Datum.For<"custom">

/**
 * @since 0.1.0
 * @category models
 */
export type CustomLoss<D extends Target, E = never, R = never> = (
  data: ReadonlyArray<D>,
  logprobs: ReadonlyArray<Logprobs>
) => Result | Effect.Effect<Result, E, R>
