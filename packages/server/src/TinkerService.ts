/**
 * The service without HTTP: sessions, models whose operations run strictly in order, futures, sampling sessions and
 * checkpoints, over an `Engine` that computes and a `CheckpointStore`.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import type * as Model from "@effect-tinker/api/Model"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import type * as Training from "@effect-tinker/api/Training"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import { createModel, createModelFromCheckpoint } from "./internal/models/createModel.ts"
import { loadWeights } from "./internal/models/loadWeights.ts"
import { type ModelRecord, modelInfo } from "./internal/models/models.ts"
import * as saveOps from "./internal/models/saveWeights.ts"
import { type Operation, rejectMalformed, submitOperation, unloadModel } from "./internal/models/submitOperation.ts"
import * as trainingOps from "./internal/models/trainingOps.ts"
import * as commands from "./internal/commands/commands.ts"
import * as queries from "./internal/queries/queries.ts"
import { retrieveCompletions } from "./internal/sampling/sampleCompletions.ts"
import { submitSample } from "./internal/sampling/sampleRequests.ts"
import { createSamplingSession, joinSamplingSession } from "./internal/sampling/samplingSessions.ts"
import * as services from "./internal/service/parts.ts"
import type { Parts } from "./internal/service/parts.ts"
import type * as responses from "./internal/util/responses.ts"
import { capabilitiesOf } from "./internal/work/baseModels.ts"
import { toEnvelope } from "./internal/work/futures.ts"
import { cancelRequest, retrieveResult } from "./internal/work/retrieveResult.ts"
import * as serviceSettings from "./internal/work/settings.ts"
import type * as Store from "./Store.ts"

/**
 * The options of the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends serviceSettings.Options {}

/**
 * What a poll for a result finds. Results of forward passes and samples come as protobuf if requested, all others as JSON.
 *
 * @since 0.1.0
 * @category models
 */
export type Retrieved =
  | { readonly _tag: "TryAgain"; readonly body: Future.TryAgain }
  | { readonly _tag: "Large"; readonly size: number }
  | { readonly _tag: "Failed"; readonly error: string; readonly category: Future.Category }
  | { readonly _tag: "Done"; readonly format: "json" | "protobuf"; readonly bytes: Uint8Array }

/**
 * The error response to a request that is rejected before anything is done.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestRejection = responses.OperationRejection | responses.Gone

/**
 * Queries and changes of sessions, training runs, samplers and checkpoints: a method for each endpoint. All of it is there
 * after a restart.
 *
 * @since 0.1.0
 * @category models
 */
export interface Catalog extends queries.Queries, commands.Commands {}

/**
 * How much a service holds. What it lists of sessions that have ended does not count.
 *
 * @since 0.1.0
 * @category models
 */
export interface Held {
  /** sessions that have not ended, with their models and sampling sessions */
  readonly sessions: number
  readonly models: number
  readonly samplers: number
  /** operations whose results exist or will exist */
  readonly futures: number
  /** operations that wait for their turn on the engine */
  readonly waiting: number
}

type Submitted = Effect.Effect<Future.FutureEnvelope, RequestRejection>

/**
 * A method for each endpoint, named after it.
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
  /** Ends a session. If it has ended, its status stays. */
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
  /** Loads a checkpoint into a model, or into a new one. */
  readonly loadWeights: (request: typeof Weights.AnyLoadWeightsRequest.Type) => Submitted
  readonly saveWeightsExternal: (request: Weights.SaveWeightsExternalRequest) => Submitted
  readonly unloadModel: (modelId: string) => Submitted
  readonly createSamplingSession: (
    request: Sampling.CreateSamplingSessionRequest
  ) => Effect.Effect<string, RequestRejection>
  readonly sample: (request: Sampling.SampleRequest) => Submitted
  readonly retrieve: (
    request: typeof Future.RetrieveFutureRequest.Type,
    format?: "json" | "protobuf"
  ) => Effect.Effect<Retrieved, RequestRejection>
  readonly retrieveMany: (
    request: Future.RetrieveFuturesRequest
  ) => Effect.Effect<Future.RetrieveFuturesResponse, RequestRejection>
  readonly cancel: (requestId: string) => Effect.Effect<void, RequestRejection>
  /** Adds a client to a sampling session, and returns its number. */
  readonly joinSamplingSession: (samplingSessionId: string) => Effect.Effect<number, RequestRejection>
  /** Queries, and changes of what is stored. */
  readonly catalog: Catalog
  /** Uses up the `seq_id` of an operation whose request could not be decoded, so that those behind it can run. */
  readonly rejectMalformed: (
    request: { readonly model_id: unknown; readonly seq_id: unknown },
    detail: string
  ) => Effect.Effect<void>
  /** Counts what the service holds now. */
  readonly held: Effect.Effect<Held>
  /** Ends all long polls, and later ones at once, so that an HTTP server can close. */
  readonly stopWaiting: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TinkerService extends Context.Tag("@effect-tinker/server/TinkerService")<TinkerService, Service>() {}

const held = ({ environment, models, samplers, sessions }: Parts): Held => ({
  sessions: sessions.size,
  models: models.size,
  samplers: samplers.records.size,
  futures: environment.futures.size,
  waiting: environment.turns.waiting
})

/** The session of a request, whose timeout starts again. */
const useSession = ({ sessions }: Parts, id: string) => Effect.tap(sessions.find(id), ({ touch }) => touch)

const sessionEndpoints = (parts: Parts) =>
  ({
    createSession: (request) => Effect.map(parts.sessions.create(request), ({ id }) => ({ session_id: id })),
    finishSession: (id, { detail, reason }) =>
      parts.sessions.finish(id, { type: "client_finished", reason, detail: detail ?? undefined }),
    sessionHeartbeat: (id) => Effect.asVoid(useSession(parts, id))
  }) satisfies Partial<Service>

const modelEndpoints = (parts: Parts) => {
  const { models } = parts
  return {
    createModel: (request) =>
      Effect.flatMap(useSession(parts, request.session_id), (session) =>
        Effect.map(createModel(models, session, request), toEnvelope)
      ),
    getInfo: (id) => Effect.map(models.find(id), modelInfo),
    unloadModel: (id) => Effect.map(unloadModel(models, id), toEnvelope),
    rejectMalformed: (request, detail) => rejectMalformed(models, request, detail)
  } satisfies Partial<Service>
}

const trainingEndpoints = (parts: Parts) => {
  const { environment, models, samplers } = parts
  const submit = (modelId: string, operation: (record: ModelRecord) => Operation) =>
    Effect.gen(function* () {
      const record = yield* models.find(modelId)
      yield* record.session.touch
      return toEnvelope(yield* submitOperation(models, record, operation(record)))
    })
  return {
    forward: (request) => submit(request.model_id, (record) => trainingOps.forward(environment, record, request)),
    forwardBackward: (request) =>
      submit(request.model_id, (record) => trainingOps.forwardBackward(environment, record, request)),
    optimStep: (request) => submit(request.model_id, (record) => trainingOps.optimStep(environment, record, request)),
    saveWeights: (request) => submit(request.model_id, (record) => saveOps.saveWeights(environment, record, request)),
    saveWeightsForSampler: (request) =>
      submit(request.model_id, (record) => saveOps.saveWeightsForSampler(environment, record, samplers, request)),
    saveWeightsExternal: (request) =>
      submit(request.model_id, (record) => saveOps.saveWeightsExternal(environment, record, request)),
    loadWeights: (request) =>
      "model_id" in request
        ? submit(request.model_id, (record) => loadWeights(environment, record, request))
        : Effect.flatMap(useSession(parts, request.session_id), (session) =>
            Effect.map(createModelFromCheckpoint(models, session, request), toEnvelope)
          )
  } satisfies Partial<Service>
}

const samplingEndpoints = (parts: Parts) => {
  const { samplers } = parts
  return {
    createSamplingSession: (request) =>
      Effect.flatMap(useSession(parts, request.session_id), (session) =>
        createSamplingSession(samplers, session, request)
      ),
    joinSamplingSession: (id) => joinSamplingSession(samplers, id),
    sample: (request) => Effect.map(submitSample(samplers, request), toEnvelope)
  } satisfies Partial<Service>
}

const futureEndpoints = ({ environment, samplers }: Parts) =>
  ({
    retrieve: (request, format = "json") => retrieveResult(environment, request, format),
    retrieveMany: (request) => retrieveCompletions(samplers, request),
    cancel: (id) => cancelRequest(environment, id),
    stopWaiting: environment.futures.stopWaiting
  }) satisfies Partial<Service>

/**
 * The service. When the scope closes, running operations are interrupted and queued ones fail.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Service, never, Engine.Engine | CheckpointStore.CheckpointStore | Store.Store | Scope.Scope> =>
  Effect.gen(function* () {
    const settings = serviceSettings.make(options)
    const parts = yield* services.make(settings)
    return {
      held: Effect.sync(() => held(parts)),
      clientConfig: settings.clientConfig,
      capabilities: capabilitiesOf(parts.engine),
      catalog: { ...queries.make(parts), ...commands.make(parts) },
      ...sessionEndpoints(parts),
      ...modelEndpoints(parts),
      ...trainingEndpoints(parts),
      ...samplingEndpoints(parts),
      ...futureEndpoints(parts)
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<TinkerService, never, Engine.Engine | CheckpointStore.CheckpointStore | Store.Store> =>
  Layer.scoped(TinkerService, make(options))
