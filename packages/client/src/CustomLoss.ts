/**
 * Losses that the program computes itself, from the logprobs that the service returns. See
 * `TrainingClient.forwardBackwardCustom`.
 *
 * ```ts
 * // policy gradient: loss = -sum(advantage * logprob)
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
 * The logprobs of a datum's targets in row-major order. Their shape is that of `target_tokens`: `[N]` or `[N, K]`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Logprobs {
  readonly data: Float32Array
  readonly shape: ReadonlyArray<number>
}

/**
 * The value of a loss, and for each datum its gradient with respect to the logprobs, in the order of the logprobs. The
 * metrics override those of the service; their names need no suffix that names a reduction.
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
 * A datum that a custom loss accepts: any datum with target tokens. Other inputs are for the loss and are not sent, except
 * `weights`.
 *
 * @since 0.1.0
 * @category models
 */
export type Target = Datum.For<"custom">

/**
 * Computes a loss and its gradients, at once or as an effect.
 *
 * @since 0.1.0
 * @category models
 */
export type CustomLoss<D extends Target, E = never, R = never> = (
  data: ReadonlyArray<D>,
  logprobs: ReadonlyArray<Logprobs>
) => Result | Effect.Effect<Result, E, R>
