/**
 * The share of its time for which a trainer waits for episodes, over: the asynchronous loops, how many steps old weights may
 * be, the size of groups, and the time of a training step in units of that of an episode. The loops are those of `Rl.run`;
 * episodes and the trainer only take time, which is virtual. An episode takes 0.5 to 1.5 units, and 3 % take ten times as
 * long. Beside each share stands the least that Little's law allows.
 *
 * `ENVIRONMENTS=100000 npm run bench -- rollouts` has that many episodes begun and not trained, at all times. `MAX_LAG=2`
 * and `GROUP=8` measure those alone.
 */
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as Env from "@effect-tinker/cookbook/Env"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Rollouts from "@effect-tinker/cookbook/Rollouts"
import type * as Trajectory from "@effect-tinker/cookbook/Trajectory"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { figure } from "./figure.ts"

/** The mean time of an episode that is no straggler, in milliseconds. */
const unit = 100_000
/** Endings are rounded up to so many milliseconds, so that few timers are needed. */
const tick = unit / 100
const stragglers = 0.03
const slowness = 10

const warmUp = 8
const measured = 16

/** So many parts of a step are trained as soon as their groups are there. */
const minibatches = 8

interface Setting {
  readonly mode: "strict" | "oldest_first"
  readonly maxLag: number
  readonly minibatches: number
  readonly size: number
  /** the time of a training step, in units */
  readonly ratio: number
}

/** A random number for a place: the same in each loop. */
const random = (seed: number): number => {
  let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  x = Math.imul(x ^ (x >>> 16), 0x27d4eb2f)
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32
}

/** How long the slowest episode of a group takes, in units. */
const timeOf = (size: number, index: number): number => {
  let slowest = 0
  for (let member = 0; member < size; member++) {
    const seed = index * 64 + member
    const time = (0.5 + random(seed)) * (random(~seed) < stragglers ? slowness : 1)
    slowest = Math.max(slowest, time)
  }
  return slowest
}

const episode: Trajectory.Trajectory = {
  turns: [
    {
      observation: ModelInput.fromTokens([1]),
      action: { tokens: Int32Array.of(2), logprobs: Float32Array.of(-1), stop_reason: "stop" },
      reward: 0
    }
  ],
  stop: "completed",
  reward: 0
}

/** Rollouts that only take time. */
const makeRollouts = (size: number, perStep: number) =>
  Effect.gen(function* () {
    const waiting = new Map<number, Array<() => void>>()
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const until = (end: number) =>
      Effect.flatMap(
        Effect.suspend(() => {
          if (waiting.has(end)) return Effect.void
          waiting.set(end, [])
          const wake = Effect.suspend(() => {
            const all = waiting.get(end)!
            waiting.delete(end)
            for (const resume of all) resume()
            return Effect.void
          })
          return Effect.forkIn(Effect.delay(wake, end - clock.unsafeCurrentTimeMillis()), scope)
        }),
        () => Effect.async<void>((resume) => void waiting.get(end)!.push(() => resume(Effect.void)))
      )
    const episodes = { trajectories: Array.from({ length: size }, () => episode) }
    const service: Rollouts.Service = {
      needsPaths: false,
      begin: () => Effect.void,
      forget: () => Effect.void,
      group: (_, { place }) =>
        Effect.suspend(() => {
          const time = timeOf(size, place.step * perStep + place.group) * unit
          const end = Math.ceil((clock.unsafeCurrentTimeMillis() + time) / tick) * tick
          return Effect.as(until(end), episodes)
        })
    }
    return service
  })

/** A trainer whose passes take some time, one after the other, and the times at which its steps ended. */
const makeService = (passMillis: number, ended: Array<number>) => {
  let busyUntil = 0
  const sampling = {} as SamplingClient.SamplingClient
  const output = (data: ReadonlyArray<unknown>): Training.ForwardBackwardOutput => ({
    loss_fn_output_type: "",
    loss_fn_outputs: data.map(() => ({ logprobs: TensorData.float32(Float32Array.of(0, -1).slice(1)) })),
    metrics: {}
  })
  const training = {
    saveWeightsAndGetSamplingClient: () => Effect.succeed(sampling),
    forward: (data: ReadonlyArray<unknown>) => Effect.fork(Effect.succeed(output(data))),
    forwardBackward: (data: ReadonlyArray<unknown>) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        busyUntil = Math.max(now, busyUntil) + passMillis
        return Effect.fork(Effect.delay(Effect.succeed(output(data)), busyUntil - now))
      }),
    optimStep: () =>
      Effect.suspend(() => {
        ended.push(busyUntil)
        return Effect.fork(Effect.succeed({ metrics: {} }))
      })
  } as unknown as TrainingClient.TrainingClient
  const service = { createLoraTrainingClient: () => Effect.succeed(training) }
  return Layer.succeed(ServiceClient.ServiceClient, service as unknown as ServiceClient.ServiceClient["Type"])
}

/** The share of its time for which the trainer waits. */
const idleShare = async (
  { maxLag, minibatches, mode, ratio, size }: Setting,
  environments: number
): Promise<number> => {
  const perStep = Math.max(1, Math.round(environments / (maxLag + 1) / size))
  const passes = Math.min(minibatches, perStep)
  const steps = warmUp + measured + maxLag + 1
  const group: Env.EnvGroup = { size, env: () => Effect.never }
  const groups = Array.from({ length: perStep }, () => group)
  const ended: Array<number> = []
  const run = Effect.gen(function* () {
    const rollouts = yield* makeRollouts(size, perStep)
    yield* Rl.run({
      model: { base_model: "none", rank: 1, seed: 0 },
      groups: { at: () => Effect.succeed(groups) },
      steps,
      learningRate: LearningRate.constant(0),
      loop: { mode, maxLag, minibatches },
      checkpoints: { final: false }
    }).pipe(Effect.provideService(Rollouts.Rollouts, rollouts))
  }).pipe(
    Effect.scoped,
    Effect.provide([Metrics.layerSilent, makeService((ratio * unit) / passes, ended), NodeContext.layer])
  )
  const { exit } = await Effect.runPromise(Simulation.run(run, { limit: "365 days", realLimit: "20 minutes" }))
  if (exit._tag === "Failure") throw new Error(String(exit.cause))
  const cycle = (ended[warmUp + measured]! - ended[warmUp]!) / measured
  return 1 - (ratio * unit) / cycle
}

/** The mean of what groups of so many take, in units, after a function. */
const meanOf = (size: number, of: (time: number) => number): number => {
  const count = 20_000
  let sum = 0
  for (let i = 0; i < count; i++) sum += of(timeOf(size, i))
  return sum / count
}

/**
 * The least share by Little's law: a group is in the loop while it is played and while it is trained, and there are at most
 * `maxLag + 1` steps' groups; so a step takes at least `(played + ratio) / (maxLag + 1)`.
 */
const leastShare = ({ maxLag, ratio, size }: Setting): number =>
  Math.max(0, 1 - ratio / ((meanOf(size, (time) => time) + ratio) / (maxLag + 1)))

/**
 * The same, where groups begin and leave only between steps: a group that takes 1.2 steps is in the loop for two. It is the
 * shortest step for which the mean number of steps of a group is `maxLag + 1`.
 */
const leastInSteps = ({ maxLag, ratio, size }: Setting): number => {
  let [low, high] = [ratio, 100]
  const fits = (cycle: number) => meanOf(size, (time) => Math.ceil((time + ratio) / cycle - 1e-9)) <= maxLag + 1
  if (fits(low)) return 0
  while (high - low > 1e-3) {
    const middle = (low + high) / 2
    if (fits(middle)) high = middle
    else low = middle
  }
  return 1 - ratio / high
}

const percent = (share: number) => `${(share * 100).toFixed(1).padStart(5)} %`

/** The values to measure, or the one that is asked for. */
const valuesOf = (name: string, all: ReadonlyArray<number>): ReadonlyArray<number> => {
  const only = process.env[name]
  return only === undefined ? all : [Number(only)]
}

const header = "maxLag group train/episode   strict  oldest_first  in parts  by Little's law  in whole steps"

export default async (print: (line: string) => void = console.log) => {
  const environments = Number(process.env["ENVIRONMENTS"] ?? 2000)
  print(`${environments} environments; idle share of the trainer of each loop, and the least by two bounds`)
  print(`"in parts" is oldest_first with ${minibatches} minibatches`)
  print(header)
  let [aboveSteps, aboveLittle] = [0, 0]
  for (const maxLag of valuesOf("MAX_LAG", [1, 2, 4])) {
    for (const size of valuesOf("GROUP", [1, 4, 8])) {
      for (const ratio of [0.5, 1, 2]) {
        const setting: Setting = { mode: "oldest_first", maxLag, size, ratio, minibatches: 1 }
        const strict = await idleShare({ ...setting, mode: "strict" }, environments)
        const oldest = await idleShare(setting, environments)
        const parts = await idleShare({ ...setting, minibatches }, environments)
        const [little, inSteps] = [leastShare(setting), leastInSteps(setting)]
        aboveSteps = Math.max(aboveSteps, oldest - inSteps)
        aboveLittle = Math.max(aboveLittle, parts - little)
        const name = [String(maxLag).padStart(6), String(size).padStart(5), String(ratio).padStart(13)].join(" ")
        const shares = [strict, oldest, parts, little, inSteps].map(percent)
        print(`${name}  ${shares[0]}       ${shares[1]}   ${shares[2]}          ${shares[3]}         ${shares[4]}`)
      }
    }
  }
  print(figure("rollouts/oldest_first_above_whole_steps", aboveSteps * 100, "points"))
  print(figure("rollouts/in_parts_above_little", aboveLittle * 100, "points"))
}
