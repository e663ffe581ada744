/** An episode of an agent: it runs, and what it sampled meanwhile becomes its trajectory. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Branch, Capture } from "../../Capture.ts"
import type { DurationInput } from "../effect/duration.ts"
import type { Policy } from "../environments/model.ts"
import type { Trajectory, Turn } from "../trajectories/model.ts"
import { type LocalSampling, recording } from "./recording.ts"

/**
 * An agent has ended, and nothing is known that it sampled: it did not, or without the key of its conversation, or as
 * another user, or from another service.
 *
 * @since 0.1.0
 * @category errors
 */
export class NothingCaptured extends Schema.TaggedError<NothingCaptured>(
  "@effect-tinker/cookbook/Agents/NothingCaptured"
)("NothingCaptured", { key: Schema.String, seconds: Schema.Number }) {
  override get message(): string {
    return (
      `an agent ended after ${this.seconds} s, and has sampled nothing under the key ${this.key}: send it as ` +
      "x-conversation-id, or in the base URL …/conversations/<key>/v1, to the service that the capture is for; if the " +
      "service has API keys, the group names the user whose key the agent sends"
    )
  }
}

/** What an agent has earned. @internal */
export interface Earned {
  readonly reward: number
  readonly metrics?: { readonly [name: string]: number } | undefined
  readonly logs?: { readonly [name: string]: string } | undefined
}

/** The turns of all branches, those that branches share once. */
const turnsOf = (branches: ReadonlyArray<Branch>): ReadonlyArray<Turn> => {
  const seen = new Set<string>()
  return branches
    .flatMap(({ trajectory }) => trajectory.turns)
    .filter(({ action: { sequence_id } }) => {
      if (sequence_id === undefined) return true
      const isNew = !seen.has(sequence_id)
      seen.add(sequence_id)
      return isNew
    })
}

/** What it was paid, or nothing if its time was over before. */
const withTimeout = <E, R>(agent: Effect.Effect<Earned, E, R>, timeout: DurationInput | undefined) =>
  timeout === undefined
    ? Effect.map(agent, Option.some)
    : // one that cannot be interrupted must not hold the others up
      Effect.timeoutOption(Effect.disconnect(agent), timeout)

const trajectoryOf = (
  turns: ReadonlyArray<Turn>,
  stop: Trajectory["stop"],
  ended: Option.Option<Earned>,
  own: { readonly [name: string]: number } = {}
): Trajectory => {
  const { logs, metrics, reward }: Earned = Option.getOrElse(ended, () => ({ reward: 0 }))
  return { turns, stop: Option.isNone(ended) ? "rollout_timeout" : stop, reward, metrics: { ...own, ...metrics }, logs }
}

/** Where what an agent samples is found. @internal */
export interface Captured {
  readonly capture: Capture
  readonly key: string
  readonly user: string | undefined
  readonly timeout: DurationInput | undefined
}

/** An agent that samples by the OpenAI protocol, from a service that captures it. @internal */
export const playCaptured = <E, R>(
  { capture, key, timeout, user }: Captured,
  agent: Effect.Effect<Earned, E, R>
): Effect.Effect<Trajectory, E | NothingCaptured, R> =>
  Effect.gen(function* () {
    // what an earlier part of the run has left
    yield* capture.take(key, user)
    const [took, ended] = yield* Effect.timed(withTimeout(agent, timeout))
    const branches = yield* capture.take(key, user)
    const turns = turnsOf(branches)
    if (turns.length === 0) return yield* new NothingCaptured({ key, seconds: Duration.toSeconds(took) })
    const stop = branches.at(-1)?.trajectory.stop ?? "completed"
    return trajectoryOf(turns, stop, ended, { branches: branches.length })
  }).pipe(Effect.ensuring(capture.take(key, user)))

/** An agent that samples by a client that it is given. @internal */
export const playLocal = <E, R>(
  policy: Policy,
  run: (sampling: LocalSampling) => Effect.Effect<Earned, E, R>,
  timeout: DurationInput | undefined
): Effect.Effect<Trajectory, E | NothingCaptured, R> =>
  Effect.gen(function* () {
    const { sampling, turns } = recording(policy)
    const [took, ended] = yield* Effect.timed(withTimeout(run(sampling), timeout))
    const all = turns.slice()
    if (all.length === 0) return yield* new NothingCaptured({ key: policy.key, seconds: Duration.toSeconds(took) })
    return trajectoryOf(all, all.at(-1)!.action.stop_reason === "length" ? "max_tokens" : "completed", ended)
  })
