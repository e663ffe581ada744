/**
 * Agents as environments: an unmodified program that speaks the OpenAI protocol is trained. It samples from the service, a
 * `Capture` there records its tokens, and what it did is rewarded at its end.
 *
 * ```ts
 * const group = Agents.group({
 *   capture,
 *   size: 8,
 *   run: ({ key, model }) =>
 *     Effect.gen(function* () {
 *       const provider = createOpenAICompatible({ name: "tinker", baseURL: `${url}/conversations/${key}/v1` })
 *       const { text } = yield* Effect.tryPromise(() => generateText({ model: provider(model), prompt: question, tools }))
 *       return text === answer ? 1 : 0
 *     })
 * })
 * yield* Rl.run({ ...options, groups: { at: () => Effect.succeed([group]) }, snapshots: "saved" })
 * ```
 *
 * Each request of an episode carries its key. Where a request begins with what an earlier one has said, both are one datum;
 * where an agent rewrites what was said, or leads several conversations, there are more.
 *
 * @since 0.1.0
 */
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Effect from "effect/Effect"
import type * as Capture from "./Capture.ts"
import type * as Env from "./Env.ts"
import { type Earned, type NothingCaptured, playCaptured, playLocal } from "./internal/agents/play.ts"
import type { DurationInput } from "./internal/effect/duration.ts"
import { InvalidGroup } from "./internal/rollouts/group.ts"

export { NothingCaptured } from "./internal/agents/play.ts"

/**
 * What an agent is to sample from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  /** the name of the model: the path of the weights */
  readonly model: string
  /** the key of the conversation */
  readonly key: string
  readonly member: number
}

/**
 * The reward of an episode, and what else is known of it.
 *
 * @since 0.1.0
 * @category models
 */
export type Reward = number | Earned

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> {
  /** what the service tells its completions */
  readonly capture: Capture.Capture
  /** whose key the agents send, by `TinkerServer.userOf`; absent for a service without keys */
  readonly user?: string | undefined
  /** episodes to compare with each other */
  readonly size: number
  /** runs the agent, and rewards it */
  readonly run: (call: Call) => Effect.Effect<Reward, E, R>
  /** after which an agent is interrupted; what it has sampled then is kept, without a reward. No limit by default */
  readonly timeout?: DurationInput | undefined
  readonly tags?: ReadonlyArray<string> | undefined
}

const earnedOf = (reward: Reward): Earned => (typeof reward === "number" ? { reward } : reward)

/**
 * Episodes of an agent that speaks the OpenAI protocol. It needs `snapshots: "saved"` of `Rl.run`. Metric: `branches`, how
 * many conversations an episode had.
 *
 * @since 0.1.0
 * @category constructors
 */
export const group = <E = never, R = never>({
  capture,
  run,
  size,
  tags,
  timeout,
  user
}: Options<E, R>): Env.EnvGroup<E | NothingCaptured | InvalidGroup, R> => ({
  size,
  tags,
  env: (member) =>
    Effect.succeed({
      play: ({ key, path }) =>
        path === undefined
          ? new InvalidGroup({ path: "capture", reason: 'needs weights that are saved: set snapshots to "saved"' })
          : playCaptured({ capture, key, user, timeout }, Effect.map(run({ model: path, key, member }), earnedOf))
    })
})

/**
 * @since 0.1.0
 * @category models
 */
export interface LocalOptions<E = never, R = never> extends Omit<Options, "capture" | "run" | "user"> {
  /** runs the agent over a client that remembers what it sampled, and rewards it */
  readonly run: (call: {
    readonly sampling: Pick<SamplingClient.SamplingClient, "sample" | "stream">
    readonly member: number
  }) => Effect.Effect<Reward, E, R>
}

/**
 * Episodes of an agent in this program that samples by a client: one of `@effect/ai` over `TinkerLanguageModel`, say. Requests
 * without a seed have one by their place in the run, so that a synchronous run resumes exactly.
 *
 * @since 0.1.0
 * @category constructors
 */
export const local = <E = never, R = never>({
  run,
  size,
  tags,
  timeout
}: LocalOptions<E, R>): Env.EnvGroup<E | NothingCaptured, R> => ({
  size,
  tags,
  env: (member) =>
    Effect.succeed({
      play: (policy) => playLocal(policy, (sampling) => Effect.map(run({ sampling, member }), earnedOf), timeout)
    })
})
