/** Problems with one answer, whose reward can be verified. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DurationInput } from "../effect/duration.ts"
import type * as Trajectory from "../trajectories/model.ts"
import { GraderTimeout } from "./errors.ts"
import type { Env, EnvGroup, Observation, Outcome } from "./model.ts"

/**
 * The answer of the model to a problem.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  /** the text without the stop sequence */
  readonly text: string
  /** whether it ended with a stop sequence, not at the limit of tokens */
  readonly ended: boolean
  readonly tokens: Int32Array
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ProblemOptions<E = never, R = never> {
  readonly prompt: ModelInput.ModelInput | ArrayLike<number>
  readonly stop: NonNullable<Observation["stop"]>
  /** answers to compare with each other */
  readonly size: number
  readonly decode: (tokens: ArrayLike<number>) => string
  /** how right an answer is, usually from 0 to 1 */
  readonly grade: (answer: Answer) => number | Effect.Effect<number, E, R>
  /** whether an answer has the right form, beside its end; true by default */
  readonly hasForm?: ((answer: Answer) => boolean) | undefined
  /** what an answer loses that does not end or lacks the form; 0.1 by default */
  readonly formPenalty?: number | undefined
  /** after which a grader fails with `GraderTimeout`; no limit by default */
  readonly graderTimeout?: DurationInput | undefined
  readonly tags?: ReadonlyArray<string> | undefined
}

/** Whether tokens end with one of the stop sequences, and the text before it. */
const readAnswer = (
  tokens: Int32Array,
  stop: NonNullable<Observation["stop"]>,
  decode: ProblemOptions["decode"]
): Answer => {
  const stops = typeof stop === "string" ? [stop] : stop
  const last = tokens.at(-1)
  if (last !== undefined && stops.some((one) => one === last)) {
    return { text: decode(tokens.subarray(0, -1)), ended: true, tokens }
  }
  const text = decode(tokens)
  // the last token may hold more than the stop sequence
  const found = stops.flatMap((one) => {
    const at = typeof one === "string" ? text.indexOf(one) : -1
    return at < 0 ? [] : [at]
  })
  return found.length === 0
    ? { text, ended: false, tokens }
    : { text: text.slice(0, Math.min(...found)), ended: true, tokens }
}

/** Runs a grader for so long at most. @internal */
export const withTimeout = <A, E, R>(
  grade: Effect.Effect<A, E, R>,
  timeout: DurationInput | undefined
): Effect.Effect<A, E | GraderTimeout, R> =>
  timeout === undefined
    ? grade
    : Effect.timeoutFail(Effect.disconnect(grade), {
        duration: timeout,
        onTimeout: () => new GraderTimeout({ seconds: Duration.toSeconds(timeout) })
      })

const step = <E, R>(options: ProblemOptions<E, R>, { tokens }: Trajectory.Action) =>
  Effect.gen(function* () {
    const answer = readAnswer(tokens, options.stop, options.decode)
    const graded = options.grade(answer)
    const correct = typeof graded === "number" ? graded : yield* withTimeout(graded, options.graderTimeout)
    const hasForm = answer.ended && options.hasForm?.(answer) !== false
    const outcome: Outcome = {
      reward: correct - (hasForm ? 0 : (options.formPenalty ?? 0.1)),
      metrics: { correct, format: hasForm ? 1 : 0 },
      logs: { answer: answer.text }
    }
    return outcome
  })

/** @internal */
export const problem = <E = never, R = never>(
  options: ProblemOptions<E, R>
): EnvGroup<E | GraderTimeout, R, Env<E | GraderTimeout, R>> => {
  const { prompt } = options
  const initial = Effect.succeed<Observation>({
    prompt: "chunks" in prompt ? prompt : ModelInput.fromTokens(prompt),
    stop: options.stop
  })
  return {
    size: options.size,
    tags: options.tags,
    initial,
    env: () => Effect.succeed({ initial, step: (action) => step(options, action) })
  }
}
