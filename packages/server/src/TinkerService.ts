/**
 * The service without HTTP: sessions, models whose operations run strictly in order, futures, sampling sessions and
 * checkpoints, over an `Engine` that computes and a `CheckpointStore`.
 *
 * @since 0.1.0
 */
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
import * as levels from "./internal/queries/levels.ts"
import * as queries from "./internal/queries/queries.ts"
import { retrieveCompletions } from "./internal/sampling/sampleCompletions.ts"
import { submitSample } from "./internal/sampling/sampleRequests.ts"
import { sampleWhole, streamSample } from "./internal/sampling/sampleStreams.ts"
import { createSamplingSession, joinSamplingSession } from "./internal/sampling/samplingSessions.ts"
import type { Held, Service } from "./internal/service/model.ts"
import * as services from "./internal/service/parts.ts"
import type { Parts } from "./internal/service/parts.ts"
import { toDuration } from "./internal/util/duration.ts"
import { capabilitiesOf } from "./internal/work/baseModels.ts"
import { drain } from "./internal/work/drain.ts"
import { toEnvelope } from "./internal/work/futures.ts"
import { cancelRequest, retrieveResult } from "./internal/work/retrieveResult.ts"
import * as serviceSettings from "./internal/work/settings.ts"
import type * as Store from "./Store.ts"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Catalog,
  /**
   * @since 0.1.0
   * @category models
   */
  Held,
  /**
   * @since 0.1.0
   * @category models
   */
  Levels,
  /**
   * @since 0.1.0
   * @category models
   */
  RequestRejection,
  /**
   * @since 0.1.0
   * @category models
   */
  Retrieved,
  /**
   * @since 0.1.0
   * @category models
   */
  SampleEvent,
  /**
   * @since 0.1.0
   * @category models
   */
  Service
} from "./internal/service/model.ts"

/**
 * The options of the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends serviceSettings.Options {}

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
    createSession: (request) =>
      Effect.andThen(
        parts.environment.admission.check,
        Effect.map(parts.sessions.create(request), ({ id }) => ({ session_id: id }))
      ),
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
    sample: (request) => Effect.map(submitSample(samplers, request), toEnvelope),
    sampleWhole: (request) => sampleWhole(samplers, request),
    streamSample: (request) => streamSample(samplers, request)
  } satisfies Partial<Service>
}

const futureEndpoints = ({ environment, samplers }: Parts) =>
  ({
    retrieve: (request, format = "json") => retrieveResult(environment, request, format),
    retrieveMany: (request) => retrieveCompletions(samplers, request),
    cancel: (id) => cancelRequest(environment, id),
    stopWaiting: environment.futures.stopWaiting
  }) satisfies Partial<Service>

/** The endpoints of the operator. */
const operatorEndpoints = (parts: Parts) =>
  ({
    drain: (atMost) => drain(parts.environment.admission, parts.environment.futures, toDuration(atMost)),
    isDraining: Effect.sync(() => parts.environment.admission.draining),
    levels: levels.of(parts, parts.environment.futures)
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
      clientConfig: {
        ...(parts.engine.schemas === true ? { sample_json_schemas: true } : {}),
        ...settings.clientConfig
      },
      capabilities: capabilitiesOf(parts.engine),
      catalog: { ...queries.make(parts), ...(yield* commands.make(parts)) },
      ...sessionEndpoints(parts),
      ...modelEndpoints(parts),
      ...trainingEndpoints(parts),
      ...samplingEndpoints(parts),
      ...futureEndpoints(parts),
      ...operatorEndpoints(parts)
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
