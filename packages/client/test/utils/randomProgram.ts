/** Runs random programs against a simulated service with faults, and checks what they left. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Session from "@effect-tinker/client/Session"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Engine from "@effect-tinker/server/Engine"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import type * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as HttpClient from "@effect/platform/HttpClient"
import { Cause, Clock, Effect, Exit, Layer, Logger, LogLevel, Option, Redacted, type Tracer } from "effect"
import { PCGRandom } from "effect/Utils"
import * as limits from "../../src/internal/limits/sessionLimits.ts"
import * as acknowledged from "./acknowledged.ts"
import { checkModel, type EngineFailure, errorOf, type ModelLog } from "./appliedOperations.ts"
import { checkSteps } from "./appliedSteps.ts"
import { trainingProgram } from "./randomTraining.ts"
import { over } from "./services.ts"

const vocabularySize = 16

/** Derives the service, the network and the programs from a seed. */
const plan = (seed: number, isMortal: boolean) => {
  const chance = new PCGRandom(seed)
  const oneOf = <A>(values: ReadonlyArray<A>): A => values[chance.integer(values.length)]!
  const weather = oneOf([Weather.fair, Weather.badDay, Weather.badDay, Weather.badDay, Weather.disaster])
  return {
    chance,
    oneOf,
    weather: {
      ...weather,
      rate: weather.rate * oneOf([0.3, 1, 2]),
      kinds: { ...weather.kinds, refusal: oneOf([0, 0, 1, 6]) }
    },
    cycle: oneOf([0, 0, 2000, 10_000]),
    turns: oneOf(["fair", "shuffled"] as const),
    server: {
      longPoll: oneOf([1000, 5000, 20_000]),
      gapTimeout: oneOf(["1 minutes", "10 minutes"]),
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
    // spans are slow, and few seeds need them
    traced: chance.integer(8) === 0,
    // how many of the engine's passes and steps fail, of 100
    engineFailures: oneOf([0, 0, 5, 30]),
    // how often the process of the service ends, in relation to other faults
    kills: isMortal ? oneOf([3, 10, 30]) : 0,
    commitDelay: isMortal ? oneOf([1, 20, 500]) : 0
  }
}

const failing = ["forward", "forwardBackward", "optimStep"]

/** The attributes of the operation that a span is of, or is a part of. */
const operationAttributes = (span: Tracer.AnySpan): Tracer.Span["attributes"] | undefined => {
  if (span._tag !== "Span") return undefined
  if (span.attributes.has("tinker.seq_id")) return span.attributes
  return Option.isSome(span.parent) ? operationAttributes(span.parent.value) : undefined
}

/** Fails passes and steps in the engine, by the server's fault or the user's, or as a bug does; and notes which. */
const engineFailures = ({ failures, plan, seed }: Run) => {
  const chance = new PCGRandom(seed ^ 0x5eed)
  return ({ name }: TestEngine.Operation): Effect.Effect<void, Engine.EngineError> => {
    const { engineFailures } = plan
    if (engineFailures === 0 || !failing.includes(name) || chance.integer(100) >= engineFailures) return Effect.void
    const kind = chance.integer(5)
    const failure =
      kind === 0
        ? Effect.die(new Error("simulated bug of the engine"))
        : new Engine.EngineError({ reason: "simulated failure of the engine", category: kind < 3 ? "user" : "server" })
    return Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) => {
      const attributes = operationAttributes(span)
      const seq_id = Number(attributes?.get("tinker.seq_id"))
      failures.push({ model_id: String(attributes?.get("tinker.model_id")), seq_id })
      return failure
    })
  }
}

/** The limits of a session that were not fully released. */
const unreleasedLimits = (session: Session.Service): ReadonlyArray<string> => {
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
      : ["permits of samples"])
  ].map((what) => `not released by a client: ${what}`)
}

/** The most virtual time that one request may take: with a fault, a timeout and the pause before the next attempt. */
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
  /** how often the process of the service ended */
  readonly kills: number
  readonly applied: number
  /** number of errors that programs received, by tag */
  readonly errors: { readonly [tag: string]: number }
}

/** What the programs of one seed share. */
interface Run {
  readonly seed: number
  readonly plan: ReturnType<typeof plan>
  readonly logs: Array<ModelLog>
  readonly problems: Array<string>
  /** number of errors by tag */
  readonly errors: Record<string, number>
  readonly sessions: Array<Session.Service>
  readonly ledger: acknowledged.Ledger
  /** what failed in the engine */
  readonly failures: Array<EngineFailure>
}

const countError = ({ errors }: Run, { _tag }: { readonly _tag: string }) => {
  errors[_tag] = (errors[_tag] ?? 0) + 1
}

const sessionLayer = (seed: number, http: HttpClient.HttpClient) =>
  Layer.effect(ServiceClient.ServiceClient, ServiceClient.make).pipe(
    Layer.provideMerge(Session.layer),
    Layer.provide(TinkerClient.layer),
    Layer.provide(TinkerConfig.layer({ apiKey: Redacted.make("tml-simulated"), baseUrl: "http://simulated.test" })),
    Layer.provide(
      over(seed % 2 === 1 ? "an exchange of callbacks" : "any HttpClient", Layer.succeed(HttpClient.HttpClient, http))
    )
  )

/** One client with its programs. Some clients close while operations are in progress. */
const runClient = (run: Run, http: HttpClient.HttpClient) =>
  Effect.suspend(() => {
    const { chance, models, operations } = run.plan
    const programs = Array.from(
      { length: models },
      () => [new PCGRandom(chance.integer(2 ** 30)), 1 + chance.integer(operations)] as const
    )
    const closesAfter = chance.integer(4) === 0 ? chance.integer(60_000) : undefined
    return Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      run.sessions.push(yield* Session.Session)
      const all = Effect.forEach(
        programs,
        ([chance, operations]) => trainingProgram(service, chance, operations, run.logs, run.problems),
        { concurrency: "unbounded", discard: true }
      )
      yield* closesAfter === undefined ? all : Effect.timeoutOption(all, closesAfter)
    }).pipe(Effect.scoped, Effect.provide(sessionLayer(run.seed, http)), Effect.exit)
  })

/** Runs all clients, and checks what they leave behind. */
const runClients = (run: Run, between: (http: HttpClient.HttpClient) => HttpClient.HttpClient) =>
  Effect.gen(function* () {
    const { problems, seed } = run
    const { chance, commitDelay, cycle, kills, server, services, weather } = run.plan
    const simulator = yield* Simulator.make({
      seed,
      weather:
        kills === 0
          ? weather
          : { ...weather, rate: Math.max(weather.rate, 0.05), kinds: { ...weather.kinds, kill: kills } },
      commitDelay,
      cycle,
      server: server as never,
      engine: { vocabularySize, before: engineFailures(run) }
    })
    const client = runClient(run, between(simulator.client))
    const left = yield* Simulation.counting((alive) =>
      Effect.gen(function* () {
        const books = kills === 0 ? Effect.void : acknowledged.keepBooks(simulator.client, chance, run.ledger)
        const [exits] = yield* Effect.all(
          [
            Effect.all(
              Array.from({ length: services }, () => client),
              { concurrency: "unbounded" }
            ),
            books
          ],
          { concurrency: "unbounded" }
        )
        for (const exit of exits) {
          if (Exit.isSuccess(exit)) continue
          const error = errorOf(exit)
          if (error === undefined) problems.push(`a program died: ${Cause.pretty(exit.cause)}`)
          else countError(run, error)
        }
        // the simulation advances the time once all fibers that can end have ended
        yield* Effect.sleep(1)
        return { fibers: yield* alive, inFlight: yield* simulator.inFlight }
      })
    )
    for (const fiber of left.fibers) problems.push(`left by a client: ${fiber}`)
    for (const session of run.sessions) problems.push(...unreleasedLimits(session))
    if (left.inFlight > 0) problems.push(`${left.inFlight} requests of clients are still in flight`)
    const applied = yield* simulator.applied
    const deliveries = yield* simulator.deliveries
    const millis = yield* Clock.currentTimeMillis
    if (kills > 0) problems.push(...(yield* afterDeath(run, simulator, applied, millis)))
    return { applied, deliveries, millis }
  }).pipe(Effect.scoped)

/** What was acknowledged, and is not there after the process of the service has ended once more. */
const afterDeath = (
  { ledger, logs, sessions }: Run,
  simulator: Simulator.Simulator,
  applied: ReadonlyArray<Simulator.Applied>,
  millis: number
) =>
  Effect.gen(function* () {
    for (const { sessionId } of sessions) ledger.sessions.add(sessionId)
    yield* simulator.calm
    // one that is down starts again within that time
    yield* Effect.sleep("1 minute")
    yield* simulator.kill("1 second")
    // it commits the sessions that it serves on, one after another
    yield* Effect.sleep("2 minutes")
    return yield* acknowledged.checkAcknowledged(simulator.client, ledger, logs, applied, millis)
  })

/** The most virtual time that the programs may take with the faults that they met. */
const allowedMillis = ({ errors, logs, plan }: Run, deliveries: ReadonlyArray<Simulator.Delivery>): number => {
  const operations = logs.reduce((sum, log) => sum + log.submitted.length + 1, 0)
  // the service waits that long for a sequence number that is missing
  const gapTimeout = (errors["ClientBroken"] ?? 0) > 0 ? 600_000 : 0
  return (
    deliveries.reduce((sum, delivery) => sum + costOf(delivery), 0) +
    operations * (2 * plan.cycle + 15_000) +
    60_000 +
    gapTimeout
  )
}

/** How the programs of a seed run. */
export interface Options {
  /** wraps the client's transport */
  readonly between?: (http: HttpClient.HttpClient) => HttpClient.HttpClient
  /** whether the process of the service ends now and then, and another one starts */
  readonly isMortal?: boolean
}

/** Runs the programs of a seed and checks them. */
export const check = (
  seed: number,
  { between = (http) => http, isMortal = false }: Options = {}
): Effect.Effect<Verdict> =>
  Effect.gen(function* () {
    const run: Run = {
      seed,
      plan: plan(seed, isMortal),
      logs: [],
      problems: [],
      errors: {},
      sessions: [],
      failures: [],
      ledger: acknowledged.makeLedger()
    }
    const { errors, logs, problems } = run
    const report = yield* Simulation.run(runClients(run, between), {
      seed,
      turns: run.plan.turns,
      limit: "1 days",
      // of a busy machine
      realLimit: "10 minutes"
    }).pipe(Effect.withTracerEnabled(run.plan.traced), Logger.withMinimumLogLevel(LogLevel.None))
    if (report.ended !== "done") problems.push(`the programs were ${report.ended} after ${report.millis} ms`)
    for (const fiber of report.left.fibers) problems.push(`left: ${fiber}`)
    if (report.left.timers > 0) problems.push(`${report.left.timers} timers are left`)
    if (Exit.isFailure(report.exit)) {
      problems.push(`the simulation failed: ${Cause.pretty(report.exit.cause)}`)
      return { seed, problems, millis: report.millis, requests: 0, faults: 0, kills: 0, applied: 0, errors }
    }
    const { applied, deliveries, millis } = report.exit.value
    for (const log of logs) {
      const found = [
        ...checkModel(log, applied, run.failures),
        ...checkSteps(log, applied),
        ...acknowledged.checkLost(log, applied)
      ]
      problems.push(...found.map((problem) => `${log.modelId.slice(-9)}: ${problem}`))
      for (const { exit } of log.submitted) {
        const error = exit === undefined ? undefined : errorOf(exit)
        if (error !== undefined) countError(run, error)
      }
    }
    const allowed = allowedMillis(run, deliveries)
    if (millis > allowed) problems.push(`took ${millis} ms of virtual time, more than the ${allowed} ms allowed`)
    return {
      seed,
      problems,
      millis,
      requests: deliveries.length,
      faults: deliveries.filter((delivery) => delivery.fault !== undefined).length,
      kills: deliveries.filter(({ fault }) => fault === "Kill").length,
      applied: applied.length,
      errors
    }
  })

/** The command that replays a seed. */
export const replay = (seed: number, isMortal = false) =>
  `npm run simulate -- --seeds 1 --from ${seed}${isMortal ? " --kills" : ""}`
