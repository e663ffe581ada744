/**
 * Learning rates: the one to start with for a model, and its schedule over the steps of a run. A schedule is a plain
 * value, so it is stored with a run and compared when the run resumes.
 *
 * ```ts
 * const peak = yield* LearningRate.recommended("Qwen/Qwen3-8B")
 * const schedule = LearningRate.cosine(peak, { warmUpSteps: 20 })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as sizes from "./internal/models/hiddenSizes.ts"

/**
 * How the learning rate changes over a run of `T` steps. After `warmUpSteps` steps that rise from `peak / warmUpSteps` in
 * equal parts, it is `peak` times, for step `s` of the `n` steps that are left: 1 (`constant`), `1 - s / n` (`linear`), or
 * `(1 + cos(π s / n)) / 2` (`cosine`).
 *
 * @since 0.1.0
 * @category schemas
 */
export const Schedule = Schema.Struct({
  kind: Schema.Literal("constant", "linear", "cosine"),
  peak: Schema.NonNegative.pipe(Schema.finite()),
  warmUpSteps: Schema.NonNegativeInt
})

/**
 * @since 0.1.0
 * @category models
 */
export type Schedule = typeof Schedule.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** steps that rise to the peak; 0 by default */
  readonly warmUpSteps?: number | undefined
}

const make =
  (kind: Schedule["kind"]) =>
  (peak: number, { warmUpSteps = 0 }: Options = {}): Schedule => ({ kind, peak, warmUpSteps })

/**
 * The same rate at each step.
 *
 * @since 0.1.0
 * @category constructors
 */
export const constant: (peak: number, options?: Options) => Schedule = make("constant")

/**
 * A rate that falls in a line, to 0 behind the last step.
 *
 * @since 0.1.0
 * @category constructors
 */
export const linear: (peak: number, options?: Options) => Schedule = make("linear")

/**
 * A rate that falls like half a wave of the cosine, to 0 behind the last step.
 *
 * @since 0.1.0
 * @category constructors
 */
export const cosine: (peak: number, options?: Options) => Schedule = make("cosine")

/**
 * The learning rate of a step, counted from 0, in a run of `steps` steps.
 *
 * @since 0.1.0
 * @category getters
 */
export const at = ({ kind, peak, warmUpSteps }: Schedule, step: number, steps: number): number => {
  if (step < warmUpSteps) return (peak * (step + 1)) / warmUpSteps
  const progress = (step - warmUpSteps) / Math.max(1, steps - warmUpSteps)
  if (kind === "linear") return peak * (1 - progress)
  return kind === "cosine" ? peak * 0.5 * (1 + Math.cos(Math.PI * progress)) : peak
}

/**
 * No learning rate is recommended for a model: `NotCalibrated` if nobody measured its family, `UnknownModel` if its family
 * or its hidden size is not known. Choose one yourself, for example by a few short runs.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoRecommendation extends Schema.TaggedError<NoRecommendation>(
  "@effect-tinker/cookbook/LearningRate/NoRecommendation"
)("NoRecommendation", {
  model: Schema.String,
  reason: Schema.Literal("NotCalibrated", "UnknownModel"),
  detail: Schema.String
}) {
  override get message(): string {
    return `no learning rate is recommended for ${this.model}: ${this.detail}; give one`
  }
}

/** How the rate falls with the width of the model, by family. */
const exponents: ReadonlyArray<readonly [family: string, exponent: number]> = [
  ["llama", 0.781],
  ["qwen", 0.0775]
]

/** An adapter takes a rate ten times that of full fine-tuning, whatever its rank. */
const baseRate = 5e-5 * 10

/**
 * The learning rate to start with for a LoRA adapter on a model, of any rank: `5e-4 · (2000 / hidden size)^p`, with
 * `p` = 0.781 for the Llama family and 0.0775 for Qwen. The hidden size of the models that the hosted service offers is
 * known; give that of others.
 *
 * @since 0.1.0
 * @category getters
 */
export const recommended = (
  model: string,
  options: { readonly hiddenSize?: number | undefined } = {}
): Effect.Effect<number, NoRecommendation> =>
  Effect.suspend(() => {
    const name = model.replace(/:peft:.*$/, "").toLowerCase()
    const exponent = exponents.find(([family]) => name.includes(family))?.[1]
    if (exponent === undefined) {
      const isKnown = sizes.uncalibratedFamilies.some((family) => name.includes(family))
      return isKnown
        ? new NoRecommendation({ model, reason: "NotCalibrated", detail: "its family was not measured" })
        : new NoRecommendation({ model, reason: "UnknownModel", detail: "its family is not known" })
    }
    const hiddenSize = options.hiddenSize ?? sizes.hiddenSizeOf(name)
    return hiddenSize === undefined || !(hiddenSize > 0)
      ? new NoRecommendation({ model, reason: "UnknownModel", detail: "its hidden size is not known" })
      : Effect.succeed(baseRate * (2000 / hiddenSize) ** exponent)
  })
