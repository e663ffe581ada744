/** What a runner does for one episode. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { makeSlots } from "../effect/mutex.ts"
import { groupsAt } from "../rl/collect.ts"
import type { Source } from "../rl/options.ts"
import { playMember } from "../rollouts/group.ts"
import type * as rollouts from "../rollouts/model.ts"
import { RolloutFailed } from "../rollouts/service.ts"
import * as clusterFiles from "./files.ts"
import * as memo from "./memo.ts"
import { type Request, Rollout, rolloutName } from "./protocol.ts"

/** @internal */
export interface RunnerOptions<E, R> {
  readonly groups: Source<E, R>
  readonly directory: string
  readonly concurrency?: number | undefined
}

/** Groups of so many steps, and samplers of so many weights, are kept. */
const kept = 16

const maxReason = 4000

const failed = (request: Request, reason: string, cause?: unknown) =>
  new RolloutFailed({ rollout: rolloutName(request.key), reason: reason.slice(0, maxReason), cause })

/** A runner and the trainer must make the same groups. */
const checkGroup = (
  request: Request,
  fingerprint: string | undefined,
  group: { readonly size: number } | undefined
): Effect.Effect<void, RolloutFailed> => {
  if (request.fingerprint !== fingerprint) {
    const other = `${request.fingerprint ?? "none"} of the trainer, ${fingerprint ?? "none"} of the runner`
    return failed(request, `is of another source of groups (${other}): start runners with the trainer's program`)
  }
  if (group?.size === request.size) return Effect.void
  const found = group === undefined ? "no such group" : `a group of ${group.size}`
  return failed(request, `is one of ${request.size} in its group; the source of the runner makes ${found}`)
}

const optionsOf = (stored: Request["options"]): rollouts.Options => stored as rollouts.Options

/** The function that plays an episode, or finds it played. */
const make = Effect.fnUntraced(function* <E, R>({ concurrency = 64, directory, groups }: RunnerOptions<E, R>) {
  const files = yield* clusterFiles.make(directory)
  const service = yield* ServiceClient.ServiceClient
  const inSlot = yield* makeSlots(concurrency)
  const samplerOf = yield* memo.make(kept, (path) => service.createSamplingClient({ model_path: path }))
  const groupsOf = yield* memo.make(kept, (key) => {
    const [seed = 0, step = 0] = key.split("/").map(Number)
    return groupsAt({ groups, seed }, step)
  })

  const playNow = Effect.fnUntraced(function* (request: Request) {
    const { key, options, seed, weights } = request
    const group = (yield* groupsOf(`${seed}/${key.step}`))[key.group]
    yield* checkGroup(request, groups.fingerprint, group)
    const { sample } = yield* samplerOf(weights)
    const place = { run: seed, step: key.step, group: key.group }
    const play = playMember({ sample, path: weights }, group!, optionsOf(options), place, undefined)
    // a shard that moves interrupts its episodes: one that has ended is written all the same, so that it is not played again
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(play(key.member, key.failures)), (trajectory) => files.write(key, trajectory))
    )
  })

  return (request: Request) =>
    Effect.gen(function* () {
      // it may have been played by a runner that has ended since
      const before = yield* files.find(request.key)
      return before ?? (yield* inSlot(playNow(request)))
    }).pipe(
      Effect.catchAllCause((cause) => {
        if (Cause.isInterrupted(cause)) return Effect.interrupt
        const error = Cause.squash(cause)
        return error instanceof RolloutFailed ? error : failed(request, `failed in its runner: ${Cause.pretty(cause)}`)
      }),
      Effect.withSpan("rollout", { attributes: { rollout: rolloutName(request.key) } })
    )
})

/** An entity is idle when its episode is answered. */
const idleTime = "5 seconds"

/** @internal */
export const layer = <E, R>(options: RunnerOptions<E, R>) =>
  Rollout.toLayer(
    Effect.map(make(options), (play) => ({ play: ({ payload }: { readonly payload: Request }) => play(payload) })),
    { maxIdleTime: idleTime }
  )
