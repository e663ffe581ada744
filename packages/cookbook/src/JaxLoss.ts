/**
 * Custom losses, written in jax-js and differentiated by it.
 *
 * ```ts
 * import { numpy as np } from "@jax-js/jax"
 *
 * const loss = JaxLoss.make((data: ReadonlyArray<Datum.For<"importance_sampling">>, logprobs) =>
 *   logprobs.map((lp, i) => np.sum(lp.mul(np.array(advantagesOf(data[i]!))))).reduce(np.add).neg()
 * )
 * const forward = yield* training.forwardBackwardCustom(batch, loss)
 * ```
 *
 * @since 0.1.0
 */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import { init, numpy as np, valueAndGrad } from "@jax-js/jax"
import * as Effect from "effect/Effect"

const device = "wasm"
const method = "forwardBackwardCustom"

/**
 * What a loss function returns: a scalar, or a scalar and scalars to report.
 *
 * @since 0.1.0
 * @category models
 */
export type Output = np.Array | readonly [loss: np.Array, metrics: { readonly [name: string]: np.Array }]

const toLossFailed = (cause: unknown) =>
  new TinkerError.LossFailed({
    method,
    path: "loss",
    reason: `could not be differentiated: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause
  })

/** Starts jax-js. */
const ready = Effect.tryPromise({
  try: async () => {
    if (!(await init(device)).includes(device)) throw new TypeError("there is no WebAssembly")
  },
  catch: toLossFailed
})

type Differentiated = [[np.Array, { readonly [name: string]: np.Array }], ReadonlyArray<np.Array>]

const isPair = (output: Output): output is readonly [np.Array, { readonly [name: string]: np.Array }] =>
  Array.isArray(output)

/**
 * A loss as a function of the logprobs of a batch: one array per datum, in the shape of its targets. In jax-js an operation
 * consumes the arrays that it takes, so write `lp.ref` for each use but the last. The caller disposes arrays that the
 * function closes over.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make =
  <D extends CustomLoss.Target>(
    loss: (data: ReadonlyArray<D>, logprobs: ReadonlyArray<np.Array>) => Output
  ): CustomLoss.CustomLoss<D, TinkerError.LossFailed> =>
  (data, logprobs) =>
    Effect.andThen(
      ready,
      Effect.try({
        try: (): CustomLoss.Result => {
          const leaves = logprobs.map(({ data, shape }) =>
            np.array(data as Float32Array<ArrayBuffer>, { shape: [...shape], dtype: np.float32, device })
          )
          // consumes one reference of each leaf, unless it throws
          const traced = (arrays: Array<np.Array>) => {
            const output = loss(data, arrays)
            return isPair(output) ? [output[0], { ...output[1] }] : [output, {}]
          }
          try {
            const differentiate = valueAndGrad(traced as (...args: Array<unknown>) => never, {
              hasAux: true
            }) as unknown as (leaves: Array<np.Array>) => Differentiated
            const [[value, metrics], gradients] = differentiate(leaves)
            return {
              loss: scalar(value),
              gradients: gradients.map((gradient) => gradient.dataSync() as Float32Array),
              metrics: Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, scalar(metric)]))
            }
          } catch (cause) {
            for (const leaf of leaves) if (leaf.refCount > 0) leaf.dispose()
            throw cause
          }
        },
        catch: toLossFailed
      })
    )

/** The value of a scalar, which is consumed. */
const scalar = (array: np.Array): number => {
  if (array.size !== 1) {
    const shape = array.shape.join(", ")
    array.dispose()
    throw new TypeError(`[${shape}] is not a scalar: sum it`)
  }
  return array.dataSync()[0]!
}
