/**
 * The contract of the service as an `HttpApi`: the server's handlers and the client's requests are both derived from
 * it. Every endpoint is also exported by name, such as `TinkerApi.asample`.
 *
 * Ids contain `:` and stand in paths unescaped. A server may lack any endpoint outside the groups `service`, `models`,
 * `training`, `sampling` and `futures`; it then responds with status 404 or 405.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as ErrorResponse from "./ErrorResponse.ts"
import { Admin } from "./internal/endpoints/admin.ts"
import { Checkpoints } from "./internal/endpoints/checkpoints.ts"
import { Client } from "./internal/endpoints/client.ts"
import { Futures, Polling } from "./internal/endpoints/futures.ts"
import { ModelOperations, Models } from "./internal/endpoints/models.ts"
import { Samplers, SamplingOperations } from "./internal/endpoints/sampling.ts"
import { Service } from "./internal/endpoints/service.ts"
import { Sessions } from "./internal/endpoints/sessions.ts"
import { TrainingOperations } from "./internal/endpoints/training.ts"
import { TrainingRuns } from "./internal/endpoints/trainingRuns.ts"
import { WeightsOperations } from "./internal/endpoints/weights.ts"

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
  .add(Service)
  .add(Models)
  .add(TrainingOperations)
  .add(SamplingOperations)
  .add(Futures)
  .add(Client)
  .add(Polling)
  .add(ModelOperations)
  .add(WeightsOperations)
  .add(Sessions)
  .add(TrainingRuns)
  .add(Checkpoints)
  .add(Samplers)
  .add(Admin)
  .addError(ErrorResponse.BadRequestResponse)
  .addError(ErrorResponse.UnauthorizedResponse)
  .addError(ErrorResponse.PaymentRequiredResponse)
  .addError(ErrorResponse.ForbiddenResponse)
  .addError(ErrorResponse.NotFoundResponse)
  .addError(ErrorResponse.ConflictResponse)
  .addError(ErrorResponse.GoneResponse)
  .addError(ErrorResponse.UnprocessableResponse)
  .addError(ErrorResponse.TooManyRequestsResponse)
  .prefix(prefix) {}
