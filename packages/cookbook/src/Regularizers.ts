/**
 * Terms that are added to a custom loss, each a function of a datum's logprobs with its true gradient. All eight of tinkex
 * are here, with its values; there, those of `klDivergence` and `consistency` have no gradient.
 *
 * ```ts
 * const loss = Regularizers.add(base, [
 *   { name: "sparse", weight: 0.01, regularizer: Regularizers.l1() },
 *   { name: "near", weight: 0.1, regularizer: Regularizers.klDivergence({ reference: (i) => reference[i]! }) }
 * ])
 * const forward = yield* training.forwardBackwardCustom(batch, loss)
 * ```
 *
 * The value of a term is the mean over the datums of a batch, times its weight. Metrics: `NAME` for each term, without its
 * weight, and `regularizers` for the sum. `x` stands for the logprobs of a datum, `p` for `exp(x)`.
 *
 * @since 0.1.0
 */
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import * as Effect from "effect/Effect"
import * as terms from "./internal/regularizers/terms.ts"

/**
 * A term: of the logprobs of datum `index`, its value and its derivatives.
 *
 * @since 0.1.0
 * @category models
 */
export type Regularizer = (
  logprobs: CustomLoss.Logprobs,
  index: number
) => { readonly value: number; readonly gradient: ArrayLike<number> }

/**
 * @since 0.1.0
 * @category models
 */
export interface Weighted {
  /** the name of its metric */
  readonly name: string
  /** 0 or more */
  readonly weight: number
  readonly regularizer: Regularizer
}

/**
 * A function that `gradientPenalty` bounds, by its first derivative, and its second one times a vector.
 *
 * @since 0.1.0
 * @category models
 */
export type Differentiable = terms.Differentiable

/**
 * `λ Σ |x|`
 *
 * @since 0.1.0
 * @category regularizers
 */
export const l1 = ({ lambda = 1 }: { readonly lambda?: number | undefined } = {}): Regularizer => {
  const term = terms.l1(lambda)
  return ({ data }) => term(data)
}

/**
 * `λ Σ clip(x - center)²`; the center is 0 by default, or the mean of `x`
 *
 * @since 0.1.0
 * @category regularizers
 */
export const l2 = ({
  center = 0,
  clip = Number.POSITIVE_INFINITY,
  lambda = 1
}: {
  readonly lambda?: number | undefined
  readonly center?: number | "mean" | undefined
  readonly clip?: number | undefined
} = {}): Regularizer => {
  const term = terms.l2(lambda, center, clip)
  return ({ data }) => term(data)
}

/**
 * `λ (l1Ratio Σ |x| + (1 - l1Ratio) Σ x²)`; the ratio is 0.5 by default
 *
 * @since 0.1.0
 * @category regularizers
 */
export const elasticNet = ({
  l1Ratio = 0.5,
  lambda = 1
}: { readonly lambda?: number | undefined; readonly l1Ratio?: number | undefined } = {}): Regularizer => {
  const term = terms.elasticNet(lambda, l1Ratio)
  return ({ data }) => term(data)
}

/**
 * `-Σ p x`, to be kept small (`minimize`, the default), or large; at another temperature than 1, of the softmax of
 * `x / temperature`. Normalized, it is divided by the logarithm of the number of values.
 *
 * @since 0.1.0
 * @category regularizers
 */
export const entropy = ({
  mode = "minimize",
  normalize = false,
  temperature = 1
}: {
  readonly mode?: "minimize" | "maximize" | undefined
  readonly normalize?: boolean | undefined
  readonly temperature?: number | undefined
} = {}): Regularizer => {
  const term = terms.entropy(mode === "minimize" ? 1 : -1, temperature, normalize)
  return ({ data }) => term(data)
}

/**
 * `Σ p (x - reference)`, from the reference (`reverse`), or the mean of both (`symmetric`). `reference` has the logprobs of
 * datum `i`.
 *
 * @since 0.1.0
 * @category regularizers
 */
export const klDivergence = ({
  direction = "forward",
  reference
}: {
  readonly reference: (index: number) => ArrayLike<number>
  readonly direction?: "forward" | "reverse" | "symmetric" | undefined
}): Regularizer => {
  const term = terms.kl(direction)
  return ({ data }, index) => term(data, reference(index))
}

/**
 * How far the logprobs are from those of another pass of datum `i`: by their mean squared distance (`mse`, the default),
 * mean distance, cosine or divergence.
 *
 * @since 0.1.0
 * @category regularizers
 */
export const consistency = ({
  metric = "mse",
  original
}: {
  readonly original: (index: number) => ArrayLike<number>
  readonly metric?: "mse" | "l1" | "cosine" | "kl" | undefined
}): Regularizer => {
  const term = terms.consistency(metric)
  return ({ data }, index) => term(data, original(index))
}

/**
 * How far the rows of logprobs `[N, K]`, divided by their norms, are from being orthogonal: `Σ G²` off the diagonal of their
 * products (`soft`, the default), `‖G - I‖²` (`hard`), or the former and `(tr G - N)²` (`spectral`). 0 for logprobs `[N]`.
 *
 * @since 0.1.0
 * @category regularizers
 */
export const orthogonality = ({
  mode = "soft"
}: { readonly mode?: "soft" | "hard" | "spectral" | undefined } = {}): Regularizer => {
  const term = terms.orthogonality(mode)
  return ({ data, shape }) => term(data, shape)
}

/**
 * `(‖∇f(x)‖ - target)²`, with a target of 1 by default; with `between`, at `share · x + (1 - share) · reference`.
 *
 * @since 0.1.0
 * @category regularizers
 */
export const gradientPenalty = ({
  between,
  f,
  target = 1
}: {
  readonly f: Differentiable
  readonly target?: number | undefined
  readonly between?: { readonly reference: (index: number) => ArrayLike<number>; readonly share: number } | undefined
}): Regularizer => {
  const term = terms.gradientPenalty(f, target)
  return ({ data }, index) =>
    term(data, between === undefined ? undefined : { reference: between.reference(index), share: between.share })
}

/** Adds terms to what a loss returned. */
const addTo = (
  base: CustomLoss.Result,
  logprobs: ReadonlyArray<CustomLoss.Logprobs>,
  regularizers: ReadonlyArray<Weighted>
): CustomLoss.Result => {
  const gradients = base.gradients.map((gradient) => Float32Array.from(gradient))
  const metrics: Record<string, number> = { ...base.metrics }
  let total = 0
  for (const { name, regularizer, weight } of regularizers) {
    let value = 0
    for (const [i, one] of logprobs.entries()) {
      const term = regularizer(one, i)
      value += term.value / logprobs.length
      const out = gradients[i]!
      for (let at = 0; at < out.length; at++) out[at]! += (weight * term.gradient[at]!) / logprobs.length
    }
    metrics[name] = value
    total += weight * value
  }
  return { loss: base.loss + total, gradients, metrics: { ...metrics, regularizers: total } }
}

/**
 * The loss with terms. They compose with any custom loss, also those of `JaxLoss`.
 *
 * @throws RangeError when a weight is below 0, or two terms have one name.
 * @since 0.1.0
 * @category combinators
 */
export const add = <D extends CustomLoss.Target, E = never, R = never>(
  base: CustomLoss.CustomLoss<D, E, R>,
  regularizers: ReadonlyArray<Weighted>
): CustomLoss.CustomLoss<D, E, R> => {
  const names = new Set<string>()
  for (const { name, weight } of regularizers) {
    if (!(weight >= 0)) throw new RangeError(`the weight of ${name} is ${weight}: give a number of 0 or more`)
    if (names.has(name)) throw new RangeError(`two terms have the name ${name}`)
    names.add(name)
  }
  return (data, logprobs) => {
    const result = base(data, logprobs)
    return Effect.isEffect(result)
      ? Effect.map(result, (base) => addTo(base, logprobs, regularizers))
      : addTo(result, logprobs, regularizers)
  }
}
