/** Runs random programs against a simulated service with faults, and checks what they left. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Session from "@effect-tinker/client/Session"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import type * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as HttpClient from "@effect/platform/HttpClient"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Logger, LogLevel, Redacted } from "effect"
import { PCGRandom } from "effect/Utils"
import * as limits from "../../src/internal/limits/sessionLimits.ts"
import { over } from "./services.ts"

type Training = TrainingClient.TrainingClient
type Future = TinkerFuture.TinkerFuture<unknown>

/** An operation of a program, and its outcome. */
interface Submitted {
  readonly kind: string
  /** unique in the program, and encoded in the operation's input */
  readonly tag: number
  readonly datums: number
  readonly changesTraining: boolean
  /** absent where the caller was interrupted while it submitted */
  seqIds: ReadonlyArray<number> | undefined
  exit: Exit.Exit<unknown, unknown> | undefined
}

interface ModelLog {
  readonly modelId: string
  readonly submitted: Array<Submitted>
}

const vocabularySize = 16

/** Tokens that spell a number. */
const spell = (tag: number) => [tag & 15, (tag >> 4) & 15, (tag >> 8) & 15]
const read = (tokens: ArrayLike<number>) => tokens[0]! + 16 * tokens[1]! + 256 * tokens[2]!

/** The tag in the input that the engine applied, if its kind has one. */
const tagOf = (applied: Simulator.Applied): number | undefined => {
  switch (applied.type) {
    case "Forward":
    case "ForwardBackward":
      return read(ModelInput.toTokens((applied.input as Engine.PassOptions).data[0]!.model_input))
    case "OptimStep":
      return Math.round((applied.input as { readonly learning_rate: number }).learning_rate * 2 ** 20)
    default:
      return undefined
  }
}

const errorOf = (exit: Exit.Exit<unknown, unknown>): TinkerError.TinkerError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const failure = Cause.failureOption(exit.cause)
  return failure._tag === "Some" && TinkerError.isTinkerError(failure.value) ? failure.value : undefined
}

/** The service, the network and the programs that a seed determines. */
const plan = (seed: number) => {
  const chance = new PCGRandom(seed)
  const oneOf = <A>(values: ReadonlyArray<A>): A => values[chance.integer(values.length)]!
  const weather = oneOf([Weather.fair, Weather.badDay, Weather.badDay, Weather.badDay, Weather.disaster])
  return {
    chance,
    oneOf,
    weather: { ...weather, rate: weather.rate * oneOf([0.3, 1, 2]) },
    cycle: oneOf([0, 0, 2000, 10_000]),
    turns: oneOf(["fair", "shuffled"] as const),
    server: {
      longPoll: oneOf([1000, 5000, 20_000]),
      gapTimeout: "10 minutes",
      inlineLimit: oneOf([40, 2 ** 20]),
      clientConfig: {
        fwdbwd_max_chunk_len: oneOf([1, 2, 1024]),
        sample_max_concurrent_requests: oneOf([2, 2000]),
        sample_use_retrieve_futures: oneOf([false, false, true])
      }
    },
    services: oneOf([1, 1, 2]),
    models: oneOf([1, 1, 2]),
    operations: 1 + chance.integer(4),
    // spans cost time, so only some seeds have them
    traced: chance.integer(8) === 0
  }
}

/** One client's program. It logs each operation before it submits it, and its outcome. */
const trainingProgram = (
  service: ServiceClient.Service,
  chance: PCGRandom,
  operations: number,
  models: Array<ModelLog>,
  problems: Array<string>
) =>
  Effect.gen(function* () {
    const training: Training = yield* service.createLoraTrainingClient({
      base_model: TestEngine.baseModel,
      rank: 1 + chance.integer(8)
    })
    const log: ModelLog = { modelId: training.modelId, submitted: [] }
    models.push(log)
    const pending: Array<readonly [Submitted, Future]> = []
    const paths: Array<string> = []
    let tag = 1

    const settle = ([submitted, future]: readonly [Submitted, Future]) =>
      Effect.map(Fiber.await(future), (exit) => {
        submitted.exit = exit
        return exit
      })

    const submit = (
      kind: string,
      changesTraining: boolean,
      datums: number,
      make: (tag: number) => Effect.Effect<Future, unknown>
    ) =>
      Effect.suspend(() => {
        const submitted: Submitted = { kind, tag: tag++, datums, changesTraining, seqIds: undefined, exit: undefined }
        log.submitted.push(submitted)
        return Effect.tap(Effect.uninterruptible(Effect.either(make(submitted.tag))), (made) =>
          Effect.sync(() => {
            if (made._tag === "Left") {
              problems.push(`${kind} ${submitted.tag} was refused: ${String(made.left)}`)
              return
            }
            submitted.seqIds = made.right.seqIds
            pending.push([submitted, made.right])
          })
        )
      })

    const data = (tag: number, count: number) =>
      Array.from({ length: count }, (_, i) => Datum.fromPromptCompletion(spell(tag), [i, 1, 2].slice(0, 1 + (i % 3))))

    const pass = (method: "forward" | "forwardBackward") =>
      Effect.suspend(() => {
        const count = 1 + chance.integer(3)
        return submit(method === "forward" ? "Forward" : "ForwardBackward", method !== "forward", count, (tag) =>
          training[method](data(tag, count), "cross_entropy")
        )
      })
    const step = Effect.zipRight(
      pass("forwardBackward"),
      submit("OptimStep", true, 0, (tag) => training.optimStep({ learning_rate: tag / 2 ** 20 }))
    )
    const pause = Effect.suspend(() => Effect.sleep(chance.integer(15_000)))

    for (let i = 0; i < operations; i++) {
      switch (chance.integer(10)) {
        case 0:
          yield* pass("forward")
          break
        case 1: {
          yield* submit("SaveWeights", false, 0, (tag) => training.saveState(`state-${tag}`))
          const exit = yield* settle(pending[pending.length - 1]!)
          if (Exit.isSuccess(exit)) paths.push((exit.value as { readonly path: string }).path)
          break
        }
        case 2:
          if (paths.length > 0) yield* submit("LoadWeights", true, 0, () => training.loadStateWithOptimizer(paths[0]!))
          break
        case 3: {
          // a caller that is interrupted while it submits, right before, or right after
          const fiber = yield* Effect.fork(step)
          yield* Effect.repeatN(Effect.yieldNow(), chance.integer(4))
          yield* Fiber.interrupt(fiber)
          break
        }
        case 4: {
          // a caller that stops waiting
          yield* step
          const [, future] = pending[pending.length - 1]!
          yield* Effect.timeoutOption(Effect.exit(Fiber.join(future)), 1 + chance.integer(3000))
          break
        }
        case 5:
          yield* pause
          break
        case 6: {
          const seen = log.submitted.length
          log.submitted.push({
            kind: "SaveWeightsForSampler",
            tag: 0,
            datums: 0,
            changesTraining: false,
            seqIds: undefined,
            exit: undefined
          })
          const exit = yield* Effect.exit(training.saveWeightsAndGetSamplingClient())
          log.submitted[seen]!.exit = exit
          if (Exit.isFailure(exit)) break
          const samples = yield* Effect.forEach(
            Array.from({ length: 1 + chance.integer(4) }, (_, n) => n),
            (n) =>
              exit.value
                .sample(ModelInput.fromTokens(spell(n)), { sampling_params: { max_tokens: 1 + n, seed: n } })
                .pipe(Effect.timeoutOption(chance.integer(3) === 0 ? 500 : 3_600_000), Effect.exit),
            { concurrency: "unbounded" }
          )
          for (const [n, sample] of samples.entries()) {
            if (Exit.isSuccess(sample) && sample.value._tag === "Some") {
              const tokens = sample.value.value.sequences[0]!.tokens.length
              if (tokens > 1 + n) problems.push(`sample ${n} has ${tokens} tokens, more than were asked for`)
            }
          }
          break
        }
        default:
          yield* step
          if (chance.integer(2) === 0) yield* Effect.forEach(pending.splice(0, pending.length - 2), settle)
      }
    }
    yield* Effect.forEach(pending, settle)
    for (const [submitted, future] of pending) {
      const exit = submitted.exit!
      if (Exit.isSuccess(exit) && submitted.kind.startsWith("Forward")) {
        const outputs = (exit.value as { readonly loss_fn_outputs: ReadonlyArray<unknown> }).loss_fn_outputs.length
        if (outputs !== submitted.datums) {
          problems.push(`${future.method} of ${submitted.datums} datums has ${outputs} outputs`)
        }
      }
    }
  })

/** The problems in what was applied to a model. */
const checkModel = (log: ModelLog, applied: ReadonlyArray<Simulator.Applied>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const mine = applied.filter((effect) => effect.model_id === log.modelId && effect.type !== "CreateModel")
  const seqIds = mine.map((effect) => effect.seq_id)
  for (let i = 1; i < seqIds.length; i++) {
    if (seqIds[i]! <= seqIds[i - 1]!) problems.push(`seq_id ${seqIds[i]} was applied behind ${seqIds[i - 1]}`)
  }
  // by their input, since sequence numbers may be wrong
  const times = new Map<string, number>()
  for (const effect of mine) {
    const tag = tagOf(effect)
    if (tag !== undefined) times.set(`${effect.type} ${tag}`, (times.get(`${effect.type} ${tag}`) ?? 0) + 1)
  }
  const submittedNames = new Set(log.submitted.map(({ kind, tag }) => `${kind} ${tag}`))
  for (const name of times.keys()) {
    if (!submittedNames.has(name)) problems.push(`${name} was applied, and was never submitted`)
  }
  const bySeqId = new Map(mine.map((effect) => [effect.seq_id, effect]))
  let lastPlace = 0
  let missing: Submitted | undefined
  for (const submitted of log.submitted) {
    const { changesTraining, exit, kind, tag } = submitted
    const error = exit === undefined ? undefined : errorOf(exit)
    const what = `${kind} ${tag} (seq_id ${submitted.seqIds?.join(", ") ?? "unknown"}${
      exit === undefined ? "" : Exit.isSuccess(exit) ? ", succeeded" : `, ${error?._tag ?? "interrupted"}`
    })`
    if (exit !== undefined && Exit.isFailure(exit) && error === undefined && !Cause.isInterruptedOnly(exit.cause)) {
      problems.push(`${what} died: ${Cause.pretty(exit.cause)}`)
    }
    // a pass may be one request for each of its datums
    const most = submitted.seqIds?.length ?? Math.max(1, submitted.datums)
    const applications = times.get(`${kind} ${tag}`) ?? 0
    if (applications > most) problems.push(`${what} was applied ${applications} times, in place of ${most}`)
    if (submitted.seqIds === undefined) continue
    for (const seqId of submitted.seqIds) {
      if (seqId <= lastPlace) problems.push(`${what} was numbered behind ${lastPlace}`)
      lastPlace = seqId
      const effect = bySeqId.get(seqId)
      if (effect === undefined) {
        if (exit !== undefined && Exit.isSuccess(exit)) problems.push(`${what} was not applied`)
        if (exit !== undefined && Exit.isFailure(exit) && changesTraining) {
          // RequestFailed: the service ran it, and it failed. After any other error nothing later may be applied.
          if (error?._tag !== "RequestFailed") missing ??= submitted
        }
        continue
      }
      if (effect.type !== kind) problems.push(`${what} was applied as ${effect.type}`)
      const found = tagOf(effect)
      if (found !== undefined && found !== tag) problems.push(`${what} was applied as operation ${found}`)
      if (error?._tag === "ClientBroken") problems.push(`${what} says that it was not sent, but was applied`)
      if (missing !== undefined && changesTraining) {
        problems.push(`${what} was applied, though ${missing.kind} ${missing.tag} before it was not`)
      }
    }
  }
  return problems
}

/** What a closed client still holds of its session's limits. */
const heldOf = (session: Session.Service): ReadonlyArray<string> => {
  const { forwardBackward, responses, samples } = limits.of(session)
  const { fwdbwd_dispatch_bytes_semaphore_size, inflight_response_bytes_semaphore_size } = session.clientConfig
  return [
    ...(forwardBackward.balance === fwdbwd_dispatch_bytes_semaphore_size && forwardBackward.waiting === 0
      ? []
      : ["bytes of forward/backward requests"]),
    ...(responses.balance === inflight_response_bytes_semaphore_size && responses.waiting === 0
      ? []
      : ["bytes of results"]),
    ...(samples.isIdle && samples.bytes.balance === session.clientConfig.sample_dispatch_bytes_semaphore_size
      ? []
      : ["room for samples"])
  ].map((what) => `held by a client: ${what}`)
}

// the time that one fault may cost: a request that hangs, and the pause before the next attempt
const costOf = ({ endpoint, fault }: Simulator.Delivery): number =>
  fault === undefined
    ? 600
    : (fault === "LoseRequest" || fault === "LoseResponse"
        ? endpoint.startsWith("retrieve_future")
          ? 45_000
          : 60_000
        : 20_000) + 31_000

export interface Verdict {
  readonly seed: number
  readonly problems: ReadonlyArray<string>
  readonly millis: number
  readonly requests: number
  readonly faults: number
  readonly applied: number
  /** the errors of the programs, by tag */
  readonly errors: { readonly [tag: string]: number }
}

/** Runs the programs of a seed, with `between` around the network's HttpClient, and checks what was applied. */
export const check = (
  seed: number,
  between: (http: HttpClient.HttpClient) => HttpClient.HttpClient = (http) => http
): Effect.Effect<Verdict> =>
  Effect.gen(function* () {
    const { chance, cycle, models, operations, server, services, traced, turns, weather } = plan(seed)
    const logs: Array<ModelLog> = []
    const problems: Array<string> = []
    const errors: Record<string, number> = {}
    const sessions: Array<Session.Service> = []

    const program = Effect.gen(function* () {
      const simulator = yield* Simulator.make({
        seed,
        weather,
        cycle,
        server: server as never,
        engine: { vocabularySize }
      })
      const client = Effect.suspend(() => {
        const programs = Array.from(
          { length: models },
          () => [new PCGRandom(chance.integer(2 ** 30)), 1 + chance.integer(operations)] as const
        )
        const closesAfter = chance.integer(4) === 0 ? chance.integer(60_000) : undefined
        return Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          sessions.push(yield* Session.Session)
          const all = Effect.forEach(
            programs,
            ([chance, operations]) => trainingProgram(service, chance, operations, logs, problems),
            { concurrency: "unbounded", discard: true }
          )
          // a scope that closes during the work
          yield* closesAfter === undefined ? all : Effect.timeoutOption(all, closesAfter)
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Layer.effect(ServiceClient.ServiceClient, ServiceClient.make).pipe(
              Layer.provideMerge(Session.layer),
              Layer.provide(TinkerClient.layer),
              Layer.provide(
                TinkerConfig.layer({ apiKey: Redacted.make("tml-simulated"), baseUrl: "http://simulated.test" })
              ),
              Layer.provide(
                over(
                  seed % 2 === 1 ? "an exchange of callbacks" : "any HttpClient",
                  Layer.succeed(HttpClient.HttpClient, between(simulator.client))
                )
              )
            )
          ),
          Effect.exit
        )
      })
      const left = yield* Simulation.counting((alive) =>
        Effect.gen(function* () {
          const exits = yield* Effect.all(
            Array.from({ length: services }, () => client),
            { concurrency: "unbounded" }
          )
          for (const exit of exits) {
            if (Exit.isSuccess(exit)) continue
            const error = errorOf(exit)
            if (error === undefined) problems.push(`a program died: ${Cause.pretty(exit.cause)}`)
            else errors[error._tag] = (errors[error._tag] ?? 0) + 1
          }
          // the clock moves only when nothing else can run
          yield* Effect.sleep(1)
          return { fibers: yield* alive, inFlight: yield* simulator.inFlight }
        })
      )
      for (const fiber of left.fibers) problems.push(`left by a client: ${fiber}`)
      for (const session of sessions) problems.push(...heldOf(session))
      if (left.inFlight > 0) problems.push(`${left.inFlight} requests of clients are under way still`)
      return {
        applied: yield* simulator.applied,
        deliveries: yield* simulator.deliveries,
        millis: yield* Clock.currentTimeMillis
      }
    }).pipe(Effect.scoped)

    const report = yield* Simulation.run(program, { seed, turns, limit: "1 days" }).pipe(
      Effect.withTracerEnabled(traced),
      Logger.withMinimumLogLevel(LogLevel.None)
    )
    if (report.ended !== "done") problems.push(`the programs were ${report.ended} after ${report.millis} ms`)
    for (const fiber of report.left.fibers) problems.push(`left: ${fiber}`)
    if (report.left.timers > 0) problems.push(`${report.left.timers} timers are left`)
    if (Exit.isFailure(report.exit)) {
      problems.push(`the simulation failed: ${Cause.pretty(report.exit.cause)}`)
      return { seed, problems, millis: report.millis, requests: 0, faults: 0, applied: 0, errors }
    }
    const { applied, deliveries, millis } = report.exit.value
    for (const log of logs) {
      problems.push(...checkModel(log, applied).map((problem) => `${log.modelId.slice(-9)}: ${problem}`))
      for (const { exit } of log.submitted) {
        const error = exit === undefined ? undefined : errorOf(exit)
        if (error !== undefined) errors[error._tag] = (errors[error._tag] ?? 0) + 1
      }
    }
    const steps = logs.reduce((sum, log) => sum + log.submitted.length + 1, 0)
    const gaps = (errors["ClientBroken"] ?? 0) > 0 ? 600_000 : 0
    const allowed =
      deliveries.reduce((sum, delivery) => sum + costOf(delivery), 0) + steps * (2 * cycle + 15_000) + 60_000 + gaps
    if (millis > allowed) problems.push(`took ${millis} ms of virtual time, where ${allowed} would have been enough`)
    return {
      seed,
      problems,
      millis,
      requests: deliveries.length,
      faults: deliveries.filter((delivery) => delivery.fault !== undefined).length,
      applied: applied.length,
      errors
    }
  })

/** The command that replays a seed. */
export const replay = (seed: number) => `npm run simulate -- --seeds 1 --from ${seed}`
