/**
 * Runs random loops of reinforcement learning against a simulated service with faults, with environments that are slow,
 * fail, or never end, and checks that they end, and how.
 */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { PCGRandom } from "effect/Utils"
import type * as Env from "../../src/Env.ts"
import * as LearningRate from "../../src/LearningRate.ts"
import * as Metrics from "../../src/Metrics.ts"
import * as Rl from "../../src/Rl.ts"
import type * as Rollouts from "../../src/Rollouts.ts"

type Nature = "quick" | "slow" | "fails" | "stuck" | "deaf"

/** Derives the service, the network, the loop and the environments from a seed. */
const plan = (seed: number) => {
  const chance = new PCGRandom(seed)
  const oneOf = <A>(values: ReadonlyArray<A>): A => values[chance.integer(values.length)]!
  const weather = oneOf([Weather.fair, Weather.fair, Weather.badDay, Weather.badDay, Weather.disaster])
  const maxLag = chance.integer(3)
  const loops: ReadonlyArray<Rl.Mode> = [
    { mode: "synchronous" },
    { mode: "synchronous", minibatches: 2 },
    { mode: "strict", maxLag },
    { mode: "oldest_first", maxLag },
    { mode: "strict", maxLag, minibatches: 2 },
    { mode: "oldest_first", maxLag, minibatches: 2 }
  ]
  const failures: ReadonlyArray<Rollouts.Failures> = [
    { policy: "fail" },
    { policy: "retry", retries: 2 },
    { policy: "minimum", retries: 1, least: 0.5 }
  ]
  return {
    weather,
    cycle: oneOf([0, 2000, 10_000]),
    turns: oneOf(["fair", "shuffled"] as const),
    loop: oneOf(loops),
    steps: 1 + chance.integer(4),
    perStep: 1 + chance.integer(3),
    size: 1 + chance.integer(3),
    maxTurns: 1 + chance.integer(3),
    failures: oneOf(failures),
    // without it, an environment that never ends holds its loop up until someone ends that
    timeout: oneOf([undefined, "2 minutes", "10 minutes"] as const),
    closesAfter: oneOf([undefined, undefined, "5 minutes"] as const),
    // how many environments are not quick, of 100
    trouble: oneOf([0, 10, 50]),
    natures: oneOf<ReadonlyArray<Nature>>([
      ["slow"],
      ["slow", "fails"],
      ["slow", "stuck"],
      ["slow", "fails", "stuck", "deaf"]
    ])
  }
}

type Plan = ReturnType<typeof plan>

const nameOf = (step: number, group: number) => `g${step}.${group}`

/** What an environment does before it answers. */
const before = (nature: Nature, chance: PCGRandom): Effect.Effect<void, "failed"> => {
  switch (nature) {
    case "quick":
      return Effect.void
    case "slow":
      return Effect.sleep(chance.integer(90_000))
    case "fails":
      return Effect.andThen(Effect.sleep(chance.integer(5000)), Effect.fail("failed" as const))
    case "stuck":
      return Effect.never
    case "deaf":
      // an end that cannot be interrupted, but comes
      return Effect.uninterruptible(Effect.sleep(chance.integer(300_000)))
  }
}

interface Counts {
  /** environments whose scope is open */
  open: number
  /** environments that fail or never end */
  bad: number
}

const groupOf = (seed: number, plan: Plan, counts: Counts, step: number, group: number): Env.EnvGroup<"failed"> => ({
  size: plan.size,
  tags: [nameOf(step, group)],
  env: (member) =>
    Effect.gen(function* () {
      const chance = new PCGRandom(seed * 7919 + step * 131 + group * 17 + member)
      yield* Effect.acquireRelease(
        Effect.sync(() => counts.open++),
        () => Effect.sync(() => counts.open--)
      )
      const nature = chance.integer(100) < plan.trouble ? plan.natures[chance.integer(plan.natures.length)]! : "quick"
      if (nature !== "quick" && nature !== "slow") counts.bad++
      let seen: ReadonlyArray<number> = [65 + group, 66 + member]
      let turns = 0
      const observe = () => ({ prompt: ModelInput.fromTokens(seen) })
      const env: Env.Env<"failed"> = {
        initial: Effect.sync(observe),
        step: ({ tokens }) =>
          Effect.as(before(nature, chance), undefined).pipe(
            Effect.map(() => {
              seen = [...seen, ...tokens, 9]
              return { reward: tokens[0]! % 2, ...(++turns < plan.maxTurns ? { next: observe() } : {}) }
            })
          )
      }
      return env
    })
})

const clientOf = (simulator: Simulator.Simulator) =>
  ServiceClient.layer({ apiKey: Redacted.make("tml-simulated"), baseUrl: "http://simulated.test" }).pipe(
    Layer.provide(simulator.layer)
  )

const train = (seed: number, plan: Plan, counts: Counts) =>
  Rl.run<"failed">({
    model: { base_model: TestEngine.baseModel, rank: 4, seed: 1 },
    groups: {
      at: (step) =>
        Effect.succeed(Array.from({ length: plan.perStep }, (_, group) => groupOf(seed, plan, counts, step, group)))
    },
    steps: plan.steps,
    learningRate: LearningRate.constant(0.1),
    constantGroups: "keep",
    rollouts: { sampling: { max_tokens: 2 }, failures: plan.failures, limits: { timeout: plan.timeout } },
    loop: plan.loop,
    checkpoints: { every: 2 },
    seed
  })

/** What is wrong with the rows of a run that has ended by itself. */
const problemsOf = (plan: Plan, { rows, steps }: Rl.Result): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const trained = rows.flatMap((row) =>
    // a step of one group has no tag of its own
    plan.perStep === 1
      ? []
      : Object.keys(row).flatMap((name) => /^env\/(g\d+\.\d+)\/total_episodes$/.exec(name)?.[1] ?? [])
  )
  if (new Set(trained).size !== trained.length) problems.push(`a group was trained twice: ${trained.join()}`)
  const count = plan.perStep === 1 ? 0 : plan.steps * plan.perStep
  if (trained.length !== count) problems.push(`${trained.length} groups were trained of ${count}`)
  if (steps !== plan.steps) problems.push(`${steps} steps of ${plan.steps}`)
  const lags = rows.flatMap((row) => (typeof row["lag/max"] === "number" ? [row["lag/max"]] : []))
  const bound = plan.loop.mode === "synchronous" ? 0 : plan.loop.mode === "strict" ? plan.loop.maxLag : plan.steps
  if (lags.some((lag) => lag > bound)) problems.push(`a lag of ${Math.max(...lags)}, above ${bound}`)
  return problems
}

export interface Verdict {
  readonly problems: ReadonlyArray<string>
  /** how the loop ended: `trained`, `closed`, or the tag of its error */
  readonly ended: string
  readonly faults: number
  readonly millis: number
}

/** Runs the loop in a scope that may close while it runs, and looks at what is left. */
const runLoop = (seed: number, plan: Plan, counts: Counts) =>
  Effect.gen(function* () {
    const simulator = yield* Simulator.make({ seed, weather: plan.weather, cycle: plan.cycle })
    const left = yield* Simulation.counting((alive) =>
      Effect.gen(function* () {
        const training = train(seed, plan, counts).pipe(
          Effect.scoped,
          Effect.provide(Layer.mergeAll(clientOf(simulator), Metrics.layerSilent, FileSystem.layerNoop({}), Path.layer))
        )
        // a loop that waits for what never ends goes on until someone ends it
        const isHeldUp = plan.timeout === undefined && plan.natures.includes("stuck")
        const most = isHeldUp ? "15 minutes" : "2 hours"
        const ended = yield* Effect.exit(Effect.timeoutOption(training, plan.closesAfter ?? most))
        // environments that cannot be interrupted end in their own time
        yield* Effect.sleep("10 minutes")
        return { ended, fibers: yield* alive, inFlight: yield* simulator.inFlight }
      })
    )
    const deliveries = yield* simulator.deliveries
    return { ...left, faults: deliveries.filter(({ fault }) => fault !== undefined).length }
  }).pipe(Effect.scoped)

const endOf = (exit: Exit.Exit<Option.Option<Rl.Result>, unknown>): string => {
  if (Exit.isSuccess(exit)) return Option.isSome(exit.value) ? "trained" : "closed"
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return `died: ${Cause.pretty(exit.cause)}`
  const error = failure.value as string | { readonly _tag?: string }
  return typeof error === "string" ? error : (error._tag ?? "unknown")
}

/** Runs the loop of a seed and checks it. */
export const check = (seed: number): Effect.Effect<Verdict> =>
  Effect.gen(function* () {
    const made = plan(seed)
    const counts: Counts = { open: 0, bad: 0 }
    const report = yield* Simulation.run(runLoop(seed, made, counts), {
      seed,
      turns: made.turns,
      limit: "2 days",
      realLimit: "5 minutes"
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
    const problems: Array<string> = []
    if (report.ended !== "done")
      problems.push(`the loop was ${report.ended} after ${report.millis} ms: ${report.waiting.join()}`)
    for (const fiber of report.left.fibers) problems.push(`left: ${fiber}`)
    if (report.left.timers > 0) problems.push(`${report.left.timers} timers are left`)
    if (counts.open > 0) problems.push(`${counts.open} environments are not closed`)
    if (Exit.isFailure(report.exit)) {
      problems.push(`the simulation failed: ${Cause.pretty(report.exit.cause)}`)
      return { problems, ended: "failed", faults: 0, millis: report.millis }
    }
    const { ended, faults, fibers, inFlight } = report.exit.value
    for (const fiber of fibers) problems.push(`left by the loop: ${fiber}`)
    if (inFlight > 0) problems.push(`${inFlight} requests are still in flight`)
    const end = endOf(ended)
    if (end.startsWith("died")) problems.push(end)
    if (Exit.isSuccess(ended) && Option.isSome(ended.value)) problems.push(...problemsOf(made, ended.value.value))
    // only these may hold a loop up, and only faults of the network or of an environment fail it
    const waits = made.timeout === undefined && counts.bad > 0
    if (end === "closed" && made.closesAfter === undefined && !waits) problems.push("the loop did not end by itself")
    if (end !== "trained" && end !== "closed" && faults === 0 && counts.bad === 0)
      problems.push(`failed without a fault: ${end}`)
    return { problems, ended: end, faults, millis: report.millis }
  })

/** The command that replays a seed. */
export const replay = (seed: number) => `npm run simulate-rl -- --seeds 1 --from ${seed}`
