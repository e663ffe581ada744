/**
 * The real service over a deterministic engine, behind a network with faults: planned ones (`Fault`), and random ones
 * (`Weather`), which are the same for the same seed. It runs in the fiber and under the clock of the caller, and records
 * the operations that it applied to each model, in order.
 *
 * ```ts
 * const simulator = yield* Simulator.make({
 *   cycle: "10 seconds",
 *   faults: [Fault.on("forward_backward").nth(3).loseResponse]
 * })
 * yield* program.pipe(Effect.provide(simulator.layer))
 * const applied = yield* simulator.applied // each step once, in the order in which the program made them
 * ```
 *
 * @since 0.1.0
 */
import type * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Store from "@effect-tinker/server/Store"
import type * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import type * as Fault from "./Fault.ts"
import { FaultPlan } from "./internal/network/faultPlan.ts"
import * as network from "./internal/network/network.ts"
import * as weathers from "./internal/network/weather.ts"
import { describeApplied } from "./internal/simulator/applied.ts"
import { Cycles } from "./internal/simulator/cycles.ts"
import * as mortalServer from "./internal/simulator/mortalServer.ts"
import { type DurationInput, toDuration } from "./internal/util/duration.ts"
import type * as TestEngine from "./TestEngine.ts"
import * as TestServer from "./TestServer.ts"
import * as Weather from "./Weather.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the seed of the random faults and of the latency of each request; 0 */
  readonly seed?: number | undefined
  /** random faults and latency; none by default */
  readonly weather?: Weather.Weather | undefined
  /** planned faults, which take precedence over random ones */
  readonly faults?: ReadonlyArray<Fault.Fault> | undefined
  /**
   * Models work in cycles of this length, as on the hosted service: of the operations that are queued when a cycle begins,
   * the forward passes and the optimizer step behind them complete when it ends. By default, work takes no time.
   */
  readonly cycle?: DurationInput | undefined
  /** options of the service */
  readonly server?: TinkerServer.Options | undefined
  /** options of the engine; an operation that `before` fails takes no effect */
  readonly engine?: Pick<TestEngine.Options, "models" | "vocabularySize" | "before"> | undefined
  /**
   * How long a commit of the service's records takes, 20 milliseconds, if there are faults that end its process: what is
   * not committed then is lost
   */
  readonly commitDelay?: DurationInput | undefined
  /** where checkpoints are stored; in memory by default, and always if there are faults that end the service's process */
  readonly checkpoints?: Layer.Layer<CheckpointStore.CheckpointStore, never, Store.Store> | undefined
  /** whether `applied` and `deliveries` are recorded; true */
  readonly record?: boolean | undefined
}

/**
 * An operation that took effect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Applied {
  /**
   * the kind of the operation, such as `ForwardBackward`, `OptimStep`, `SaveWeights` or `Sample`; `DropGradient` where the
   * service cleared a gradient within another operation, because a part of it had failed
   */
  readonly type: string
  /** absent for samples */
  readonly model_id: string | undefined
  /** absent for training operations */
  readonly sampling_session_id: string | undefined
  readonly seq_id: number
  /** the argument of the engine's operation, such as `PassOptions`, `AdamParams` or `SampleOptions` */
  readonly input: unknown
  /** milliseconds since the simulator was made */
  readonly millis: number
}

/**
 * A request that a client sent, and what happened to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivery {
  /** such as `forward_backward` */
  readonly endpoint: string
  /** milliseconds since the simulator was made */
  readonly millis: number
  /** the fault that was applied to it */
  readonly fault: Fault.Action["_tag"] | undefined
  readonly outcome: "waiting" | "responded" | "failed" | "interrupted"
  readonly status: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Simulator {
  readonly client: HttpClient.HttpClient
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** in the order in which they took effect */
  readonly applied: Effect.Effect<ReadonlyArray<Applied>>
  /** in the order in which they were sent */
  readonly deliveries: Effect.Effect<ReadonlyArray<Delivery>>
  /** how many requests have no response yet */
  readonly inFlight: Effect.Effect<number>
  /** how many models and samplers the engine holds */
  readonly live: TestEngine.TestEngine["live"]
  /** Ends all faults and latency. */
  readonly calm: Effect.Effect<void>
  /**
   * Ends the process of the service as by SIGKILL, and starts another one when it was down so long. Only where there are
   * faults that do so: otherwise it has no effect.
   */
  readonly kill: (down: DurationInput) => Effect.Effect<void>
}

/**
 * A service that runs as long as the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Simulator, never, Scope.Scope> =>
  Effect.gen(function* () {
    // added before the service, so that it closes after it: the service receives what clients send while they close
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const start = yield* Clock.currentTimeMillis
    const random = new PCGRandom(options.seed ?? 0)
    const { faults = [], record = true, weather = Weather.fair } = options
    const applied: Array<Applied> = []
    const deliveries: Array<Delivery> = []

    const server = yield* makeServer(options, start, scope, (operation) => {
      if (record) applied.push(operation)
    })
    const net = yield* network.make({
      inner: server.client,
      kill: server.kill,
      faults: new FaultPlan(faults, random, weathers.make(weather, random)),
      latency: [Duration.toMillis(weather.latency[0]), Duration.toMillis(weather.latency[1])],
      random,
      scope,
      record: (delivery) => {
        if (record) deliveries.push(delivery)
      }
    })
    return {
      client: net.client,
      layer: Layer.succeed(HttpClient.HttpClient, net.client),
      applied: Effect.sync(() => applied.slice()),
      deliveries: Effect.sync(() => deliveries.map((delivery) => ({ ...delivery }))),
      inFlight: Effect.sync(net.inFlight),
      live: server.live,
      calm: Effect.sync(net.calm),
      kill: (down) => net.unsupervised(server.kill(toDuration(down)))
    }
  })

/** Whether there are faults that end the process of the service. */
const hasKills = ({ faults = [], weather }: Options): boolean =>
  (weather?.kinds.kill ?? 0) > 0 || faults.some(({ action }) => action._tag === "Kill")

const makeServer = (options: Options, start: number, scope: Scope.Scope, record: (applied: Applied) => void) =>
  Effect.gen(function* () {
    const cycles = new Cycles(start, Duration.toMillis(options.cycle ?? 0))
    const server = (ifAlive: Effect.Effect<void>) => serverOptions(options, cycles, start, ifAlive, record)
    if (hasKills(options)) {
      return yield* mortalServer.make({ server, commitDelay: toDuration(options.commitDelay ?? 20), scope })
    }
    const { client, engine } = yield* TestServer.make(server(Effect.void))
    return { client, live: engine.live, kill: () => Effect.void }
  })

/** The engine waits for cycles, and reports what it applies. */
const serverOptions = (
  options: Options,
  cycles: Cycles,
  start: number,
  ifAlive: Effect.Effect<void>,
  record: (applied: Applied) => void
): TestServer.Options => ({
  ...options.server,
  checkpoints: options.checkpoints,
  engine: {
    ...options.engine,
    record: false,
    before: (operation) =>
      cycles.await(operation).pipe(
        Effect.andThen(ifAlive),
        Effect.flatMap(() => options.engine?.before?.(operation) ?? Effect.void),
        Effect.flatMap(() => describeApplied(operation, start)),
        Effect.map((applied) => {
          if (applied !== undefined) record(applied)
        })
      )
  }
})
