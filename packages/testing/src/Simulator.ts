/**
 * The real service over a deterministic engine, behind a network on which things go wrong: as a script says (`Fault`),
 * or by chance (`Weather`), which a seed decides and repeats. It runs in the caller's fiber under the caller's clock, and
 * remembers what it applied to each model, in order.
 *
 * ```ts
 * const simulator = yield* Simulator.make({
 *   cycle: "10 seconds",
 *   faults: [Fault.on("forward_backward").nth(3).loseAnswer]
 * })
 * yield* program.pipe(Effect.provide(simulator.layer))
 * const applied = yield* simulator.applied // each step once, in the order in which the program made them
 * ```
 *
 * @since 0.1.0
 */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { prefix } from "@effect-tinker/api/TinkerApi"
import type * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import type * as Fault from "./Fault.ts"
import * as network from "./internal/network.ts"
import type * as TestEngine from "./TestEngine.ts"
import * as TestServer from "./TestServer.ts"
import * as Weather from "./Weather.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** decides what the weather brings, and the latency of each request; 0 */
  readonly seed?: number | undefined
  /** nothing goes wrong by chance, unless told otherwise */
  readonly weather?: Weather.Weather | undefined
  /** what goes wrong by plan; it comes before the weather */
  readonly faults?: ReadonlyArray<Fault.Fault> | undefined
  /**
   * Models work in cycles of this length, as on the hosted service: of what waits when a cycle begins, the passes and one
   * optimizer step behind them are done when it ends. Without it, work takes no time.
   */
  readonly cycle?: Duration.DurationInput | undefined
  /** settings of the service */
  readonly server?: TinkerServer.Options | undefined
  /** of the engine double */
  readonly engine?: Pick<TestEngine.Options, "models" | "vocabularySize"> | undefined
  /** checkpoints are kept in memory unless told otherwise */
  readonly checkpoints?: Layer.Layer<CheckpointStore.CheckpointStore> | undefined
  /** whether `applied` and `deliveries` remember; they do by default */
  readonly record?: boolean | undefined
}

/**
 * An operation that took effect, in the order of the effects.
 *
 * @since 0.1.0
 * @category models
 */
export interface Applied {
  /** the kind of the operation, such as `ForwardBackward`, `OptimStep`, `SaveWeights` or `Sample` */
  readonly type: string
  /** absent for samples */
  readonly model_id: string | undefined
  /** absent for samples from what is not a sampling session */
  readonly sampling_session_id: string | undefined
  readonly seq_id: number
  /** what the engine was given, such as `PassOptions`, `AdamParams` or `SampleOptions` */
  readonly input: unknown
  /** milliseconds since the simulator was made */
  readonly millis: number
}

/**
 * A request that a client sent, and what became of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivery {
  /** such as `forward_backward` */
  readonly endpoint: string
  /** milliseconds since the simulator was made */
  readonly millis: number
  /** what was done to it */
  readonly fault: Fault.Action["_tag"] | undefined
  readonly outcome: "waiting" | "answered" | "failed" | "interrupted"
  readonly status: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Simulator {
  readonly client: HttpClient.HttpClient
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  readonly applied: Effect.Effect<ReadonlyArray<Applied>>
  readonly deliveries: Effect.Effect<ReadonlyArray<Delivery>>
  /** requests whose senders wait for an answer now */
  readonly inFlight: Effect.Effect<number>
  /** models and samplers that the engine holds */
  readonly live: TestEngine.TestEngine["live"]
  /** From now on nothing goes wrong, and nothing takes time on its way. */
  readonly calm: Effect.Effect<void>
}

const sessionPattern = /^[0-9a-f]{8}-[0-9a-f-]{27}/

/** The session that a request is about, by the ids that it names. */
const sessionOf = (request: HttpClientRequest.HttpClientRequest): string | undefined => {
  const { body } = request
  const pass =
    body._tag === "Uint8Array" && ProtobufCodec.isProtobuf(body.contentType)
      ? Either.getOrUndefined(ProtobufCodec.decodeForwardBackwardRequest(body.body))
      : undefined
  const fields = (pass ?? network.bodyOf(request) ?? {}) as { readonly [key: string]: unknown }
  for (const key of ["session_id", "model_id", "sampling_session_id", "request_id"]) {
    const value = fields[key]
    const found = typeof value === "string" ? sessionPattern.exec(value)?.[0] : undefined
    if (found !== undefined) return found
  }
  return undefined
}

const spanPrefix = "tinker.server."
// of the two things that a save asks of the engine one is enough, and a sampler is made for a sample
const notEffects = new Set<TestEngine.OperationName>(["optimizer", "createSampler"])

/**
 * A service of its own, for as long as the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Simulator, never, Scope.Scope> =>
  Effect.gen(function* () {
    // of its own, so that it takes what clients say while the scope around both closes
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const start = yield* Clock.currentTimeMillis
    const chance = new PCGRandom(options.seed ?? 0)
    const weather = options.weather ?? Weather.fair
    const cycle = Duration.toMillis(options.cycle ?? 0)
    const applied: Array<Applied> = []
    const deliveries: Array<Delivery> = []
    const isRecording = options.record !== false

    // for each model the cycle in which it worked last, and whether its optimizer step of that cycle is done
    const lastWork = new Map<number, { readonly end: number; readonly stepped: boolean }>()

    const awaitCycle = (operation: TestEngine.Operation) =>
      Effect.gen(function* () {
        const isStep = operation.name === "optimStep"
        if (cycle === 0 || !(isStep || operation.name === "forward" || operation.name === "forwardBackward")) return
        const now = (yield* Clock.currentTimeMillis) - start
        const last = lastWork.get(operation.target)
        if (last === undefined || last.end !== now || last.stepped) {
          // until the next cycle begins, and until it ends
          yield* Effect.sleep((now % cycle === 0 ? 0 : cycle - (now % cycle)) + cycle)
        }
        lastWork.set(operation.target, { end: (yield* Clock.currentTimeMillis) - start, stepped: isStep })
      })

    const recordEffect = (operation: TestEngine.Operation) =>
      Effect.gen(function* () {
        if (notEffects.has(operation.name) || !isRecording) return
        const span = Option.getOrUndefined(yield* Effect.option(Effect.currentSpan))
        const type = span?.name.startsWith(spanPrefix) ? span.name.slice(spanPrefix.length) : operation.name
        // a model that is made from a checkpoint is there once that is loaded
        if (operation.name === "createModel" && type !== "CreateModel") return
        const model = span?.attributes.get("model_id")
        const sampler = span?.attributes.get("sampling_session_id")
        applied.push({
          type,
          model_id: typeof model === "string" ? model : undefined,
          sampling_session_id: typeof sampler === "string" ? sampler : undefined,
          seq_id: Number(span?.attributes.get("seq_id") ?? 0),
          input: operation.input,
          millis: (yield* Clock.currentTimeMillis) - start
        })
      })

    const server = yield* TestServer.make({
      ...options.server,
      checkpoints: options.checkpoints,
      engine: {
        ...options.engine,
        record: false,
        before: (operation) => Effect.zipRight(awaitCycle(operation), recordEffect(operation))
      }
    })

    const endSession = (request: HttpClientRequest.HttpClientRequest) => {
      const session = sessionOf(request)
      if (session === undefined) return Effect.void
      const base = request.url.slice(0, request.url.lastIndexOf(`${prefix}/`))
      return server.client
        .execute(
          HttpClientRequest.post(`${base}${prefix}/sessions/${session}/finish`).pipe(
            HttpClientRequest.setHeaders({ "x-api-key": request.headers["x-api-key"] ?? "" }),
            HttpClientRequest.bodyUnsafeJson({ reason: { type: "interrupted" }, detail: "simulated" })
          )
        )
        .pipe(Effect.ignore)
    }

    const net = yield* network.make({
      inner: server.client,
      faults: options.faults ?? [],
      weather: Weather.make(weather, chance),
      latency: [Duration.toMillis(weather.latency[0]), Duration.toMillis(weather.latency[1])],
      chance,
      scope,
      endSession,
      record: (delivery) => {
        if (isRecording) deliveries.push(delivery)
      }
    })

    return {
      client: net.client,
      layer: Layer.succeed(HttpClient.HttpClient, net.client),
      applied: Effect.sync(() => applied.slice()),
      deliveries: Effect.sync(() => deliveries.map((delivery) => ({ ...delivery }))),
      inFlight: Effect.sync(net.inFlight),
      live: server.engine.live,
      calm: Effect.sync(net.calm)
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<HttpClient.HttpClient> =>
  Layer.scoped(
    HttpClient.HttpClient,
    Effect.map(make(options), ({ client }) => client)
  )
