/**
 * The service without HTTP: sessions, models whose operations run strictly in order, futures, sampling sessions and
 * checkpoints, over an `Engine` that computes and a `CheckpointStore` that keeps.
 *
 * @since 0.1.0
 */
import type * as ErrorResponse from "@effect-tinker/api/ErrorResponse"
import type * as Future from "@effect-tinker/api/Future"
import type * as Model from "@effect-tinker/api/Model"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import type * as Training from "@effect-tinker/api/Training"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as CheckpointStore from "./CheckpointStore.ts"
import * as Engine from "./Engine.ts"
import * as commands from "./internal/commands/commands.ts"
import * as queries from "./internal/queries/queries.ts"
import type { ServiceState } from "./internal/queries/serviceState.ts"
import type * as environments from "./internal/work/environment.ts"
import * as futures from "./internal/work/futures.ts"
import * as auditLog from "./internal/records/auditLog.ts"
import * as usageLog from "./internal/records/usageLog.ts"
import * as models from "./internal/work/models.ts"
import * as responses from "./internal/util/responses.ts"
import * as samplers from "./internal/work/samplers.ts"
import * as sessions from "./internal/work/sessions.ts"
import * as training from "./internal/work/trainingOps.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** how long a poll waits for a result before it answers "try again"; 20 seconds */
  readonly longPoll?: Duration.DurationInput | undefined
  /** how long the operations behind a missing `seq_id` wait for it before they fail; 60 seconds */
  readonly gapTimeout?: Duration.DurationInput | undefined
  /** a session ends when nothing is heard of it for so long; 5 minutes */
  readonly sessionTimeout?: Duration.DurationInput | undefined
  /**
   * Results are kept for so long after their operation ended, 1 hour; what was given out only until another 2,000 results
   * or 128 MiB of the session were.
   */
  readonly resultRetention?: Duration.DurationInput | undefined
  /** results above so many bytes are announced first to clients that ask for that; 1 MiB */
  readonly inlineLimit?: number | undefined
  /** the engine's samplers are released when unused for so long; 1 minute */
  readonly samplerIdle?: Duration.DurationInput | undefined
  /** sample requests that the engine works on at a time; 8 */
  readonly sampleConcurrency?: number | undefined
  /** operations of a session that wait or run; more are refused for now, with 429 and `Retry-After`; 4,096 */
  readonly maxPending?: number | undefined
  /** what clients are told to do; nothing */
  readonly clientConfig?: Session.ClientConfigResponse | undefined
}

/**
 * What a poll for a result finds. Results of passes and samples come as protobuf where that is wanted, all others as
 * JSON.
 *
 * @since 0.1.0
 * @category models
 */
export type Retrieved =
  | { readonly _tag: "TryAgain"; readonly body: Future.TryAgain }
  | { readonly _tag: "Large"; readonly size: number }
  | { readonly _tag: "Failed"; readonly error: string; readonly category: Future.Category }
  | { readonly _tag: "Done"; readonly form: "json" | "protobuf"; readonly bytes: Uint8Array }

/**
 * Why a request is refused before anything is done.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestRejection = responses.OperationRejection | ErrorResponse.GoneResponse

/**
 * What the service knows of sessions, training runs, samplers and checkpoints, and what can be changed of them: a method
 * for each endpoint. What a restart leaves of sessions and runs is what their checkpoints tell.
 *
 * @since 0.1.0
 * @category models
 */
export interface Catalog extends queries.Queries, commands.Commands {}

type Submitted = Effect.Effect<Future.FutureEnvelope, RequestRejection>

/**
 * Each method stands for the endpoint of its name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly clientConfig: Session.ClientConfigResponse
  readonly capabilities: Session.GetServerCapabilitiesResponse
  readonly createSession: (
    request: typeof Session.CreateSessionRequest.Type
  ) => Effect.Effect<{ readonly session_id: string }>
  readonly sessionHeartbeat: (sessionId: string) => Effect.Effect<void, RequestRejection>
  /** Ends a session; the first reason stays. */
  readonly finishSession: (
    sessionId: string,
    request: typeof Session.FinishSessionRequest.Type
  ) => Effect.Effect<void, RequestRejection>
  readonly createModel: (request: Model.CreateModelRequest) => Submitted
  readonly getInfo: (modelId: string) => Effect.Effect<Model.GetInfoResponse, RequestRejection>
  readonly forward: (request: typeof Training.ForwardRequest.Type) => Submitted
  readonly forwardBackward: (request: Training.ForwardBackwardRequest) => Submitted
  readonly optimStep: (request: typeof Training.AnyOptimStepRequest.Type) => Submitted
  readonly saveWeights: (request: Weights.SaveWeightsRequest) => Submitted
  readonly saveWeightsForSampler: (request: Weights.SaveWeightsForSamplerRequest) => Submitted
  /** Loads into a model, or creates the model from the checkpoint. */
  readonly loadWeights: (request: typeof Weights.AnyLoadWeightsRequest.Type) => Submitted
  readonly saveWeightsExternal: (request: Weights.SaveWeightsExternalRequest) => Submitted
  readonly unloadModel: (modelId: string) => Submitted
  readonly createSamplingSession: (
    request: Sampling.CreateSamplingSessionRequest
  ) => Effect.Effect<string, RequestRejection>
  readonly sample: (request: Sampling.SampleRequest) => Submitted
  readonly retrieve: (
    request: typeof Future.RetrieveFutureRequest.Type,
    form?: "json" | "protobuf"
  ) => Effect.Effect<Retrieved, RequestRejection>
  readonly retrieveMany: (
    request: Future.RetrieveFuturesRequest
  ) => Effect.Effect<Future.RetrieveFuturesResponse, RequestRejection>
  readonly cancel: (requestId: string) => Effect.Effect<void, RequestRejection>
  /** The number of one client more of a sampling session. */
  readonly joinSamplingSession: (samplingSessionId: string) => Effect.Effect<number, RequestRejection>
  /** What the endpoints that look things up answer with. */
  readonly catalog: Catalog
  /**
   * An operation was refused before its request could be read in full. Its number, where that could be read, is used up,
   * so that the operations behind it go on.
   */
  readonly rejectMalformed: (
    request: { readonly model_id: unknown; readonly seq_id: unknown },
    detail: string
  ) => Effect.Effect<void>
  /** All polls answer at once from now on, so that a listener can close. */
  readonly stopWaiting: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TinkerService extends Context.Tag("@effect-tinker/server/TinkerService")<TinkerService, Service>() {}

const settingsOf = (options: Options): environments.Settings => ({
  longPoll: Duration.decode(options.longPoll ?? "20 seconds"),
  gapTimeout: Duration.decode(options.gapTimeout ?? "60 seconds"),
  sessionTimeout: Duration.decode(options.sessionTimeout ?? "5 minutes"),
  resultRetention: Duration.decode(options.resultRetention ?? "1 hour"),
  samplerIdle: Duration.decode(options.samplerIdle ?? "1 minute"),
  sampleConcurrency: options.sampleConcurrency ?? 8,
  inlineLimit: options.inlineLimit ?? 1024 * 1024,
  maxPending: options.maxPending ?? 4096,
  clientConfig: options.clientConfig ?? {}
})

const envelope = (ticket: futures.Ticket): Future.FutureEnvelope => ({ request_id: ticket.id, ...ticket.envelope })

/**
 * The service. It works in the scope: when that closes, what runs is interrupted and what waits fails.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Service, never, Engine.Engine | CheckpointStore.CheckpointStore | Scope.Scope> =>
  Effect.gen(function* () {
    const settings = settingsOf(options)
    const environment: environments.Environment = {
      engine: yield* Engine.Engine,
      store: yield* CheckpointStore.CheckpointStore,
      futures: yield* futures.make(settings.resultRetention),
      usageLog: usageLog.make(),
      auditLog: auditLog.make(),
      settings,
      scope: yield* Effect.scope
    }
    const { engine } = environment
    const allSamplers = yield* samplers.make(environment)
    const allSessions = sessions.make(environment)
    const allModels = models.make(environment)
    const state: ServiceState = {
      ...environment,
      sessions: allSessions,
      models: allModels,
      samplers: allSamplers
    }
    const catalog: Catalog = { ...queries.make(state), ...commands.make(state) }

    const submit = (modelId: string, operation: (record: models.ModelRecord) => models.Operation) =>
      Effect.gen(function* () {
        const record = yield* allModels.find(modelId)
        yield* record.session.touch
        return envelope(yield* allModels.submit(record, operation(record)))
      })

    const session = (id: string) => Effect.tap(allSessions.find(id), ({ touch }) => touch)

    const retrieve: Service["retrieve"] = Effect.fnUntraced(function* (
      { allow_metadata_only, request_id },
      form = "json"
    ): Effect.fn.Return<Retrieved, RequestRejection> {
      const entry = yield* environment.futures.find(request_id)
      yield* entry.touch
      const waited = yield* environment.futures.wait(entry, settings.longPoll)
      if (Option.isNone(waited)) {
        const state = entry.state?.() ?? { queue_state: "active" as const }
        return { _tag: "TryAgain", body: { type: "try_again", request_id, ...state } }
      }
      const outcome = waited.value
      if (outcome._tag === "Failed") {
        environment.futures.delivered(entry, 0)
        return outcome
      }
      return yield* Effect.try(() => outcome.body(form)).pipe(
        Effect.map((body): Retrieved => {
          const size = body.bytes.byteLength
          if (allow_metadata_only && size > settings.inlineLimit) return { _tag: "Large", size }
          environment.futures.delivered(entry, size)
          return { _tag: "Done", ...body }
        }),
        Effect.catchAll((error) =>
          Effect.as(Effect.logError(`the result of ${request_id} cannot be encoded`, error), {
            _tag: "Failed" as const,
            error: "the result cannot be encoded, which the service has logged",
            category: "server" as const
          })
        )
      )
    })

    return {
      clientConfig: settings.clientConfig,
      capabilities: {
        supported_models: engine.models.map(({ max_context_length, model_name }) => ({
          model_name,
          max_context_length,
          trainable: true,
          sampleable: true
        }))
      },
      createSession: Effect.fnUntraced(function* (request) {
        const made = yield* allSessions.create(request)
        yield* made.onEnd(allSamplers.release(made))
        return { session_id: made.id }
      }),
      finishSession: (id, { detail, reason }) =>
        allSessions.finish(id, { type: "client_finished", reason, detail: detail ?? undefined }),
      sessionHeartbeat: (id) => Effect.asVoid(session(id)),
      createModel: (request) =>
        Effect.flatMap(session(request.session_id), (found) => Effect.map(allModels.create(found, request), envelope)),
      getInfo: (id) =>
        Effect.map(allModels.find(id), ({ base, lora_config }) => ({
          model_id: id,
          model_data: { arch: base.arch, model_name: base.model_name, tokenizer_id: base.tokenizer_id },
          optimizer_config: { type: "adamw" },
          is_lora: true,
          lora_rank: lora_config.rank,
          model_name: base.model_name,
          type: "get_info"
        })),
      forward: ({ forward_input, model_id, seq_id }) =>
        submit(model_id, (record) => training.pass(environment, record, seq_id, "Forward", forward_input)),
      forwardBackward: ({ forward_backward_input, model_id, seq_id }) =>
        submit(model_id, (record) =>
          training.pass(environment, record, seq_id, "ForwardBackward", forward_backward_input)
        ),
      optimStep: (request) =>
        submit(request.model_id, () =>
          "adam_params" in request
            ? training.optimStep(request.seq_id, request.adam_params)
            : training.otherStep(request.seq_id, request.optimizer_params)
        ),
      saveWeights: (request) =>
        submit(request.model_id, (record) => training.saveWeights(environment, record, request)),
      saveWeightsForSampler: (request) =>
        submit(request.model_id, (record) => training.saveWeightsForSampler(environment, record, allSamplers, request)),
      saveWeightsExternal: (request) =>
        submit(request.model_id, (record) => training.saveWeightsExternal(environment, record, request)),
      loadWeights: (request) =>
        "model_id" in request
          ? submit(request.model_id, (record) => training.loadWeights(environment, record, request))
          : Effect.flatMap(session(request.session_id), (found) =>
              Effect.map(allModels.createFrom(found, request), envelope)
            ),
      unloadModel: (id) =>
        Effect.flatMap(allModels.find(id), (record) => Effect.map(allModels.unload(record), envelope)),
      createSamplingSession: (request) =>
        Effect.flatMap(session(request.session_id), (found) => allSamplers.create(found, request)),
      sample: (request) => Effect.map(allSamplers.sample(request), envelope),
      retrieve,
      retrieveMany: (request) => allSamplers.retrieve(request, settings.longPoll),
      cancel: (id) =>
        Effect.flatMap(
          environment.futures.find(id),
          (entry): Effect.Effect<void, RequestRejection> =>
            entry.cancel ?? responses.badRequest(`request ${id} is not a sample: nothing else can be cancelled`)
        ),
      joinSamplingSession: allSamplers.join,
      catalog,
      rejectMalformed: ({ model_id, seq_id }, detail) =>
        typeof model_id === "string" && models.isSeqId(seq_id)
          ? allModels.find(model_id).pipe(
              Effect.flatMap(({ queue }) =>
                queue.consumeSeqId(seq_id, `malformed: ${detail}`, responses.unprocessable(detail))
              ),
              Effect.ignore
            )
          : Effect.void,
      stopWaiting: environment.futures.stopWaiting
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<TinkerService, never, Engine.Engine | CheckpointStore.CheckpointStore> =>
  Layer.scoped(TinkerService, make(options))
