/** The service of rollouts that asks runners. */
import type { AlreadyProcessingMessage, MailboxFull, PersistenceError } from "@effect/cluster/ClusterError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { DurationInput } from "../effect/duration.ts"
import type { EnvGroup } from "../environments/model.ts"
import { checkSize, runMembers } from "../rollouts/group.ts"
import type * as rollouts from "../rollouts/model.ts"
import { RolloutFailed, type Service, type Task } from "../rollouts/service.ts"
import type { Trajectory } from "../trajectories/model.ts"
import * as clusterFiles from "./files.ts"
import { type Answer, groupName, partName, type Request, Rollout, rolloutName } from "./protocol.ts"
import { makeRows } from "./storage.ts"

/** @internal */
export interface TrainerOptions {
  readonly directory: string
  readonly patience?: DurationInput | undefined
}

type ClusterError = AlreadyProcessingMessage | MailboxFull | PersistenceError

const isOfCluster = (error: RolloutFailed | ClusterError): error is ClusterError => error._tag !== "RolloutFailed"

/** Options as JSON has them. */
const storedOptions = ({ limits, recordStabilityInfo, sampling }: rollouts.Options): Request["options"] => ({
  ...(sampling === undefined ? {} : { sampling: JSON.parse(JSON.stringify(sampling)) as Record<string, unknown> }),
  ...(recordStabilityInfo === undefined ? {} : { recordStabilityInfo }),
  ...(limits === undefined
    ? {}
    : {
        limits: {
          ...limits,
          timeout: limits.timeout === undefined ? undefined : Duration.toMillis(Duration.decode(limits.timeout))
        }
      })
})

const requestOf = (task: Task, weights: string, size: number, member: number, failures: number): Request => {
  const { fingerprint, options, part, place, policy } = task
  const { group, run: seed, step } = place
  const key = { ...part, step, group, version: policy.version, member, failures }
  return { key, seed, size, weights, fingerprint, options: storedOptions(options) }
}

interface Waiting {
  /** episodes that were asked for */
  asked: number
  /** answers that came */
  answered: number
}

/** Says once a minute that no answer has come for a minute. */
const watch = (waiting: Waiting) => {
  let before = 0
  const look = Effect.suspend(() => {
    const { answered, asked } = waiting
    const isStill = answered === before && asked > answered
    before = answered
    return isStill
      ? Effect.logWarning(`${asked - answered} rollouts wait, and none ended in a minute: are runners up?`)
      : Effect.void
  })
  return Effect.forkScoped(Effect.forever(Effect.delay(look, "1 minute")))
}

/** Plays a group whose episodes are played by another function. */
const playElsewhere = <E, R>(
  group: EnvGroup<E, R>,
  task: Task,
  play: (request: Request) => Effect.Effect<Trajectory, RolloutFailed>
) =>
  Effect.gen(function* () {
    yield* checkSize(group)
    const { path } = task.policy
    if (path === undefined) return yield* Effect.dieMessage("rollouts in other processes need the path of the weights")
    return yield* runMembers(group, task.options, (member, failures) =>
      play(requestOf(task, path, group.size, member, failures))
    )
  }).pipe(Effect.scoped)

/** @internal */
export const make = Effect.fnUntraced(function* ({ directory, patience = "10 minutes" }: TrainerOptions) {
  const rows = yield* makeRows
  const waiting: Waiting = { asked: 0, answered: 0 }
  yield* watch(waiting)
  const files = yield* clusterFiles.make(directory)
  const client = yield* Rollout.client

  /** Asks until the storage takes it: an episode that was asked for is asked for once. */
  const ask = (request: Request): Effect.Effect<Answer, RolloutFailed> => {
    waiting.asked++
    return client(rolloutName(request.key))
      .play(request)
      .pipe(
        Effect.retry({
          while: isOfCluster,
          schedule: Schedule.spaced("500 millis").pipe(Schedule.upTo(patience))
        }),
        Effect.mapError((error) =>
          isOfCluster(error)
            ? new RolloutFailed({
                rollout: rolloutName(request.key),
                reason: `could not be asked for: the storage of the cluster does not answer (${error.message})`,
                cause: error
              })
            : error
        ),
        Effect.ensuring(Effect.sync(() => void waiting.answered++))
      )
  }

  const remove = (names: ReadonlyArray<string>) =>
    Effect.andThen(rows.remove(names), Effect.forEach(names, files.remove, { concurrency: 16, discard: true }))

  const service: Service = {
    needsPaths: true,
    begin: (part) =>
      Effect.andThen(
        remove([part.run]),
        Effect.addFinalizer(() =>
          Effect.catchAll(remove([partName(part)]), (error) => Effect.logWarning(error.message, error.cause))
        )
      ),
    group: (group, task) =>
      playElsewhere(group, task, (request) =>
        Effect.flatMap(ask(request), (answer) => files.read(request.key, answer))
      ),
    forget: (part, keys) => remove(keys.map((key) => groupName({ ...part, ...key })))
  }
  return service
})
