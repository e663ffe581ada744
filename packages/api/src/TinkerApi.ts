/**
 * The contract of the service as an `HttpApi`. It drives the server's handlers and the client's requests alike, so that
 * a path or a body is written down once.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as ErrorResponse from "./ErrorResponse.ts"
import * as Future from "./Future.ts"
import * as Model from "./Model.ts"
import * as Sampling from "./Sampling.ts"
import * as Session from "./Session.ts"
import * as Training from "./Training.ts"
import * as Weights from "./Weights.ts"

/**
 * @since 0.1.0
 * @category endpoints
 */
export const clientConfig = HttpApiEndpoint.post("clientConfig", "/client/config")
  .setPayload(Session.ClientConfigRequest)
  .addSuccess(Session.ClientConfigResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const healthz = HttpApiEndpoint.get("healthz", "/healthz").addSuccess(Session.HealthResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getServerCapabilities = HttpApiEndpoint.get(
  "getServerCapabilities",
  "/get_server_capabilities"
).addSuccess(Session.GetServerCapabilitiesResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const createSession = HttpApiEndpoint.post("createSession", "/create_session")
  .setPayload(Session.CreateSessionRequest)
  .addSuccess(Session.CreateSessionResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const sessionHeartbeat = HttpApiEndpoint.post("sessionHeartbeat", "/session_heartbeat")
  .setPayload(Session.SessionHeartbeatRequest)
  .addSuccess(Session.SessionHeartbeatResponse)

/**
 * Answers with a future of `Model.CreateModelResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createModel = HttpApiEndpoint.post("createModel", "/create_model")
  .setPayload(Model.CreateModelRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getInfo = HttpApiEndpoint.post("getInfo", "/get_info")
  .setPayload(Model.GetInfoRequest)
  .addSuccess(Model.GetInfoResponse)

/**
 * Answers with a future of `Training.ForwardBackwardOutput`. Gradients accumulate until the next `optimStep`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const forwardBackward = HttpApiEndpoint.post("forwardBackward", "/forward_backward")
  .setPayload(Training.ForwardBackwardRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `Training.ForwardBackwardOutput`; no gradient is kept.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const forward = HttpApiEndpoint.post("forward", "/forward")
  .setPayload(Training.ForwardRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `Training.OptimStepResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const optimStep = HttpApiEndpoint.post("optimStep", "/optim_step")
  .setPayload(Training.AnyOptimStepRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `Weights.SaveWeightsResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const saveWeights = HttpApiEndpoint.post("saveWeights", "/save_weights")
  .setPayload(Weights.SaveWeightsRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `Weights.SaveWeightsForSamplerResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const saveWeightsForSampler = HttpApiEndpoint.post("saveWeightsForSampler", "/save_weights_for_sampler")
  .setPayload(Weights.SaveWeightsForSamplerRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `Weights.LoadWeightsResponse`. A server may allow it only as a model's first operation.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const loadWeights = HttpApiEndpoint.post("loadWeights", "/load_weights")
  .setPayload(Weights.AnyLoadWeightsRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const createSamplingSession = HttpApiEndpoint.post("createSamplingSession", "/create_sampling_session")
  .setPayload(Sampling.CreateSamplingSessionRequest)
  .addSuccess(Sampling.CreateSamplingSessionResponse)

/**
 * Answers with a future of `Sampling.SampleResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const asample = HttpApiEndpoint.post("asample", "/asample")
  .setPayload(Sampling.SampleRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Waits for a result for a while, then answers with it or with `Future.TryAgain`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const retrieveFuture = HttpApiEndpoint.post("retrieveFuture", "/retrieve_future")
  .setPayload(Future.RetrieveFutureRequest)
  .addSuccess(Future.RetrieveFutureResponse)

/**
 * @since 0.1.0
 * @category groups
 */
export const Service = HttpApiGroup.make("service")
  .add(clientConfig)
  .add(healthz)
  .add(getServerCapabilities)
  .add(createSession)
  .add(sessionHeartbeat)

/**
 * @since 0.1.0
 * @category groups
 */
export const Models = HttpApiGroup.make("models").add(createModel).add(getInfo)

/**
 * @since 0.1.0
 * @category groups
 */
export const TrainingOperations = HttpApiGroup.make("training")
  .add(forwardBackward)
  .add(forward)
  .add(optimStep)
  .add(saveWeights)
  .add(saveWeightsForSampler)
  .add(loadWeights)

/**
 * @since 0.1.0
 * @category groups
 */
export const SamplingOperations = HttpApiGroup.make("sampling").add(createSamplingSession).add(asample)

/**
 * @since 0.1.0
 * @category groups
 */
export const Futures = HttpApiGroup.make("futures").add(retrieveFuture)

/**
 * The whole contract. Paths are below `/api/v1` of the base URL's own path.
 *
 * @since 0.1.0
 * @category contract
 */
export class TinkerApi extends HttpApi.make("tinker")
  .add(Service)
  .add(Models)
  .add(TrainingOperations)
  .add(SamplingOperations)
  .add(Futures)
  .addError(ErrorResponse.BadRequestResponse)
  .addError(ErrorResponse.UnauthorizedResponse)
  .addError(ErrorResponse.PaymentRequiredResponse)
  .addError(ErrorResponse.ForbiddenResponse)
  .addError(ErrorResponse.NotFoundResponse)
  .addError(ErrorResponse.ConflictResponse)
  .addError(ErrorResponse.GoneResponse)
  .addError(ErrorResponse.UnprocessableResponse)
  .addError(ErrorResponse.TooManyRequestsResponse)
  .prefix("/api/v1") {}

/**
 * The path below the base URL under which every endpoint stands.
 *
 * @since 0.1.0
 * @category contract
 */
export const prefix = "/api/v1"
