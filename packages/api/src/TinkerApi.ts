/**
 * The contract of the service as an `HttpApi`: the server's handlers and the client's requests are both derived from
 * it. Every endpoint is also exported by name, such as `TinkerApi.asample`.
 *
 * Ids contain `:`, which paths do not escape. A server that lacks an endpoint responds with status 404 or 405.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as ErrorResponse from "./ErrorResponse.ts"
import { AdminGroup } from "./internal/endpoints/admin.ts"
import { CheckpointsGroup } from "./internal/endpoints/checkpoints.ts"
import { ClientGroup } from "./internal/endpoints/client.ts"
import { FuturesGroup } from "./internal/endpoints/futures.ts"
import { ModelsGroup } from "./internal/endpoints/models.ts"
import { SamplingGroup } from "./internal/endpoints/sampling.ts"
import { ServiceGroup } from "./internal/endpoints/service.ts"
import { SessionsGroup } from "./internal/endpoints/sessions.ts"
import { TrainingGroup } from "./internal/endpoints/training.ts"
import { TrainingRunsGroup } from "./internal/endpoints/trainingRuns.ts"
import { WeightsGroup } from "./internal/endpoints/weights.ts"

export * from "./internal/endpoints/admin.ts"
export * from "./internal/endpoints/checkpoints.ts"
export * from "./internal/endpoints/client.ts"
export * from "./internal/endpoints/futures.ts"
export * from "./internal/endpoints/models.ts"
export * from "./internal/endpoints/sampling.ts"
export * from "./internal/endpoints/service.ts"
export * from "./internal/endpoints/sessions.ts"
export * from "./internal/endpoints/training.ts"
export * from "./internal/endpoints/trainingRuns.ts"
export * from "./internal/endpoints/weights.ts"

/**
 * The path below the base URL that every endpoint starts with.
 *
 * @since 0.1.0
 * @category contract
 */
export const prefix = "/api/v1"

/**
 * The whole contract.
 *
 * @since 0.1.0
 * @category contract
 */
export class TinkerApi extends HttpApi.make("tinker")
  .add(ServiceGroup)
  .add(ClientGroup)
  .add(ModelsGroup)
  .add(TrainingGroup)
  .add(WeightsGroup)
  .add(SamplingGroup)
  .add(FuturesGroup)
  .add(SessionsGroup)
  .add(TrainingRunsGroup)
  .add(CheckpointsGroup)
  .add(AdminGroup)
  .addError(ErrorResponse.BadRequestResponse)
  .addError(ErrorResponse.UnauthorizedResponse)
  .addError(ErrorResponse.PaymentRequiredResponse)
  .addError(ErrorResponse.ForbiddenResponse)
  .addError(ErrorResponse.NotFoundResponse)
  .addError(ErrorResponse.ConflictResponse)
  .addError(ErrorResponse.GoneResponse)
  .addError(ErrorResponse.UnprocessableResponse)
  .addError(ErrorResponse.TooManyRequestsResponse)
  .addError(ErrorResponse.UnavailableResponse)
  .addError(ErrorResponse.InsufficientStorageResponse)
  .prefix(prefix) {}
