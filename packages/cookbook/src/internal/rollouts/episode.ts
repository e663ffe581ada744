/** One episode: turns until the environment or a limit ends it. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Sampling from "@effect-tinker/api/Sampling"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Env, Observation, Outcome } from "../environments/model.ts"
import type { Action, StopReason, Trajectory, Turn } from "../trajectories/model.ts"
import type { Options, Sampler } from "./model.ts"

/** @internal */
export type SampleError = TinkerError.TinkerError | Sampling.LogprobsMissing

/** Samples the action of a turn. */
type Act<E> = (observation: Observation, turn: number, maxTokens: number | undefined) => Effect.Effect<Action, E>

/** Samples actions for one observation. @internal */
export const sampleActions = (
  sampler: Sampler,
  options: Options,
  { prompt, stop }: Observation,
  request: { readonly count: number; readonly seed: number; readonly maxTokens: number | undefined }
): Effect.Effect<ReadonlyArray<Action>, SampleError> =>
  sampler
    .sample(prompt, {
      num_samples: request.count,
      sampling_params: {
        ...options.sampling,
        seed: request.seed,
        ...(stop === undefined ? {} : { stop }),
        ...(request.maxTokens === undefined ? {} : { max_tokens: request.maxTokens })
      },
      ...(options.recordStabilityInfo === true ? { record_stability_info: true } : {})
    })
    .pipe(Effect.flatMap(({ sequences }) => Sampling.withLogprobs(sequences)))

interface State {
  readonly turns: Array<Turn>
  sampled: number
  logs: { readonly [name: string]: string }
  metrics: { readonly [name: string]: number }
}

/** What is left for the next turn: a number of tokens, none for no limit, or the limit that ends the episode. @internal */
export const budgetOf = (
  { limits = {} }: Options,
  { prompt }: Observation,
  done: { readonly turns: number; readonly sampled: number }
): number | StopReason | undefined => {
  if (limits.maxTurns !== undefined && done.turns >= limits.maxTurns) return "max_turns"
  const left = [
    [limits.maxTurnTokens, "max_tokens"],
    [
      limits.maxTrajectoryTokens === undefined ? undefined : limits.maxTrajectoryTokens - ModelInput.length(prompt),
      "context_overflow"
    ],
    [limits.maxSampledTokens === undefined ? undefined : limits.maxSampledTokens - done.sampled, "max_sampled_tokens"]
  ] as const
  let least: number | undefined
  for (const [tokens, reason] of left) {
    if (tokens === undefined) continue
    if (tokens <= 0) return reason
    least = Math.min(least ?? tokens, tokens)
  }
  return least
}

/** Why an episode ends behind an action, if a limit ends it. */
const limitAfter = ({ limits = {} }: Options, action: Action, sampled: number): StopReason | undefined => {
  if (action.stop_reason === "length") return "max_tokens"
  return limits.maxSampledTokens !== undefined && sampled >= limits.maxSampledTokens ? "max_sampled_tokens" : undefined
}

const addMetrics = (state: State, metrics: { readonly [name: string]: number } = {}) => {
  const sum: Record<string, number> = { ...state.metrics }
  for (const [name, value] of Object.entries(metrics)) sum[name] = (sum[name] ?? 0) + value
  state.metrics = sum
}

/** Runs turns until the episode ends. Succeeds with the reason, and whether the environment said it. */
const play = <E, R, E2>(env: Env<E, R>, state: State, options: Options, act: Act<E2>) =>
  Effect.gen(function* () {
    let observation: Observation = yield* env.initial
    for (;;) {
      const budget = budgetOf(options, observation, { turns: state.turns.length, sampled: state.sampled })
      if (typeof budget === "string") return { stop: budget, before: true }
      const action: Action = yield* act(observation, state.turns.length, budget)
      const outcome: Outcome = yield* env.step(action)
      const { logs, masked, metrics, next, reward, stop } = outcome
      state.turns.push({ observation: observation.prompt, action, reward, masked, metrics })
      state.sampled += action.tokens.length
      state.logs = { ...state.logs, ...logs }
      addMetrics(state, metrics)
      const limit: StopReason | undefined = limitAfter(options, action, state.sampled)
      if (stop !== undefined || next === undefined) {
        // an answer that the limit cut was graded by the environment, which often cannot read it
        const isCut = limit === "max_tokens" && stop === "parse_error"
        return { stop: isCut ? limit : (stop ?? limit ?? "completed"), before: false }
      }
      if (limit !== undefined) return { stop: limit, before: true }
      observation = next
    }
  })

/** An episode with its limits. @internal */
export const episode = <E, R, E2>(
  env: Env<E, R>,
  options: Options,
  act: Act<E2>
): Effect.Effect<Trajectory, E | E2, R> =>
  Effect.gen(function* () {
    const { limits = {} } = options
    const state: State = { turns: [], sampled: 0, logs: {}, metrics: {} }
    const playing = play(env, state, options, act)
    const ended =
      limits.timeout === undefined
        ? yield* playing
        : Option.getOrElse(
            // an environment that cannot be interrupted must not hold the others up
            yield* Effect.timeoutOption(Effect.disconnect(playing), limits.timeout),
            () => ({ stop: "rollout_timeout" as const, before: true })
          )
    const graded = ended.before && ended.stop !== "rollout_timeout" && env.atLimit !== undefined
    const reward = graded ? yield* env.atLimit(ended.stop) : 0
    const turns = state.turns.slice()
    const trajectory: Trajectory = { turns, stop: ended.stop, reward, metrics: state.metrics, logs: state.logs }
    return limits.noGainAtLimit === true ? withoutGain(trajectory) : trajectory
  })

const limitReasons: ReadonlySet<StopReason> = new Set([
  "max_turns",
  "max_tokens",
  "max_sampled_tokens",
  "max_tool_calls",
  "rollout_timeout"
])

/** What a limit ended earns nothing above 0. */
const withoutGain = (trajectory: Trajectory): Trajectory => {
  if (!limitReasons.has(trajectory.stop)) return trajectory
  const total = trajectory.turns.reduce((sum, { reward }) => sum + reward, trajectory.reward)
  return total <= 0 ? trajectory : { ...trajectory, reward: trajectory.reward - total }
}
