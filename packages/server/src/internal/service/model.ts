/** The interface of the service without HTTP, which `TinkerService` exports: a method for each endpoint. */
import type * as Future from "@effect-tinker/api/Future"
import type * as Model from "@effect-tinker/api/Model"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import type * as Training from "@effect-tinker/api/Training"
import type * as Weights from "@effect-tinker/api/Weights"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as commands from "../commands/commands.ts"
import type * as levels from "../queries/levels.ts"
import type * as queries from "../queries/queries.ts"
import type { SampleEvent } from "../sampling/tokenBuffer.ts"
import type { DurationInput } from "../util/duration.ts"
import type * as responses from "../util/responses.ts"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Levels
} from "../queries/levels.ts"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  SampleEvent
} from "../sampling/tokenBuffer.ts"

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
 * Queries and changes of sessions, training runs, samplers and checkpoints: a method for each endpoint. After a restart,
 * sessions and training runs are known from their checkpoints alone.
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
  ) => Effect.Effect<{ readonly session_id: string }, RequestRejection>
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
  /** Samples while the inner effect runs, without a future; otherwise as `streamSample`. */
  readonly sampleWhole: (
    request: Sampling.SampleRequest
  ) => Effect.Effect<
    Effect.Effect<Sampling.SampleResponse, { readonly error: string; readonly category: Future.Category }>,
    RequestRejection
  >
  /**
   * Samples while the stream runs, and brings what was sampled since the reader last took something. When the stream
   * ends early, so does the sample.
   */
  readonly streamSample: (
    request: Sampling.SampleRequest
  ) => Effect.Effect<
    Stream.Stream<ReadonlyArray<SampleEvent>, { readonly error: string; readonly category: Future.Category }>,
    RequestRejection
  >
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
  /**
   * Uses up the `seq_id` of an operation whose request could not be decoded, if it can be read, so that the operations
   * behind it can run.
   */
  readonly rejectMalformed: (
    request: { readonly model_id: unknown; readonly seq_id: unknown },
    detail: string
  ) => Effect.Effect<void>
  /** Counts what the service holds now. */
  readonly held: Effect.Effect<Held>
  /** Ends all long polls, and later ones at once, so that an HTTP server can close. */
  readonly stopWaiting: Effect.Effect<void>
  /**
   * Rejects new sessions and operations (503), and returns when the ones that run or wait have ended and their results
   * were fetched, or after that time. Operations that others wait for are still accepted.
   */
  readonly drain: (atMost: DurationInput) => Effect.Effect<void>
  /** Whether it accepts no new work, because it stops. */
  readonly isDraining: Effect.Effect<boolean>
  /** What the service holds and does at the moment. */
  readonly levels: Effect.Effect<levels.Levels>
}
