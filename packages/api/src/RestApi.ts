/**
 * The part of the contract that looks things up and manages them: sessions, training runs, checkpoints, samplers, and
 * what administrators see. Ids carry `:` and stand in paths as they are; a checkpoint's id is two segments of a path,
 * its kind and its name. A server may lack any of them and then answers 404 or 405.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Audit from "./Audit.ts"
import * as Billing from "./Billing.ts"
import * as Checkpoint from "./Checkpoint.ts"
import * as ErrorResponse from "./ErrorResponse.ts"
import { optionalKey } from "./internal/schemas.ts"
import * as Pagination from "./Pagination.ts"
import * as Sampling from "./Sampling.ts"
import * as Session from "./Session.ts"
import * as SessionSearch from "./SessionSearch.ts"
import * as TrainingRun from "./TrainingRun.ts"
import * as Weights from "./Weights.ts"

const scope = { access_scope: optionalKey(Pagination.AccessScope) }
const sessionPath = Schema.Struct({ session_id: Schema.String })
const runPath = Schema.Struct({ training_run_id: Schema.String })
const checkpointPath = Schema.Struct({
  training_run_id: Schema.String,
  kind: Schema.Literal("weights", "sampler_weights", "external_weights"),
  name: Schema.String
})
const checkpointUrl = "/training_runs/:training_run_id/checkpoints/:kind/:name"

/**
 * @since 0.1.0
 * @category endpoints
 */
export const listSessions = HttpApiEndpoint.get("listSessions", "/sessions")
  .setUrlParams(Schema.Struct({ ...Pagination.Page.fields, ...scope }))
  .addSuccess(Session.ListSessionsResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const searchSessions = HttpApiEndpoint.post("searchSessions", "/sessions/search")
  .setPayload(SessionSearch.SessionSearchRequest)
  .addSuccess(SessionSearch.SessionSearchResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getSession = HttpApiEndpoint.get("getSession", "/sessions/:session_id")
  .setPath(sessionPath)
  .setUrlParams(Schema.Struct(scope))
  .addSuccess(Session.GetSessionResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const finishSession = HttpApiEndpoint.post("finishSession", "/sessions/:session_id/finish")
  .setPath(sessionPath)
  .setPayload(Session.FinishSessionRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Moves a session, with all that belongs to it, into a project; it cannot be moved out again.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const assignSessionProject = HttpApiEndpoint.put("assignSessionProject", "/sessions/:session_id/project")
  .setPath(sessionPath)
  .setPayload(Session.AssignSessionProjectRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Starts building a trace, or says how far it is; ask again every five seconds.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const exportSessionTrace = HttpApiEndpoint.get("exportSessionTrace", "/sessions/:session_id/trace_export")
  .setPath(sessionPath)
  .addSuccess(Session.TraceExportResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const listTrainingRuns = HttpApiEndpoint.get("listTrainingRuns", "/training_runs")
  .setUrlParams(Schema.Struct({ ...Pagination.Page.fields, ...scope, project_id: optionalKey(Schema.String) }))
  .addSuccess(TrainingRun.TrainingRunsResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getTrainingRun = HttpApiEndpoint.get("getTrainingRun", "/training_runs/:training_run_id")
  .setPath(runPath)
  .setUrlParams(Schema.Struct(scope))
  .addSuccess(TrainingRun.TrainingRun)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const listCheckpoints = HttpApiEndpoint.get("listCheckpoints", "/training_runs/:training_run_id/checkpoints")
  .setPath(runPath)
  .addSuccess(Checkpoint.CheckpointsListResponse)

/**
 * The caller's checkpoints of all training runs, newest first.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const listUserCheckpoints = HttpApiEndpoint.get("listUserCheckpoints", "/checkpoints")
  .setUrlParams(Pagination.Page)
  .addSuccess(Checkpoint.CheckpointsListResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const searchCheckpoints = HttpApiEndpoint.post("searchCheckpoints", "/checkpoints/search")
  .setPayload(Checkpoint.CheckpointSearchRequest)
  .addSuccess(Checkpoint.CheckpointSearchResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const deleteCheckpoint = HttpApiEndpoint.del("deleteCheckpoint", checkpointUrl)
  .setPath(checkpointPath)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const publishCheckpoint = HttpApiEndpoint.post("publishCheckpoint", `${checkpointUrl}/publish`)
  .setPath(checkpointPath)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const unpublishCheckpoint = HttpApiEndpoint.del("unpublishCheckpoint", `${checkpointUrl}/publish`)
  .setPath(checkpointPath)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const setCheckpointTtl = HttpApiEndpoint.put("setCheckpointTtl", `${checkpointUrl}/ttl`)
  .setPath(checkpointPath)
  .setPayload(Checkpoint.SetTtlRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Answers with a body, or with status 302 and the headers `Location` and `Expires`; 503 while the archive is built.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getCheckpointArchive = HttpApiEndpoint.get("getCheckpointArchive", `${checkpointUrl}/archive`)
  .setPath(checkpointPath)
  .addSuccess(Checkpoint.ArchiveUrlResponse)

/**
 * For checkpoints of the kind `external_weights` alone.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getExternalWeightsUrls = HttpApiEndpoint.get(
  "getExternalWeightsUrls",
  `${checkpointUrl}/external_weights_urls`
)
  .setPath(checkpointPath)
  .addSuccess(Weights.ExternalWeightsUrlsResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getSampler = HttpApiEndpoint.get("getSampler", "/samplers/:sampler_id")
  .setPath(Schema.Struct({ sampler_id: Schema.String }))
  .addSuccess(Sampling.GetSamplerResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getAuditLog = HttpApiEndpoint.get("getAuditLog", "/audit")
  .setUrlParams(Audit.Params)
  .addSuccess(Audit.AuditLogResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getBillingUsage = HttpApiEndpoint.get("getBillingUsage", "/billing/usage/events")
  .setUrlParams(Billing.UsageParams)
  .addSuccess(Billing.UsageResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const getCheckpointStorage = HttpApiEndpoint.get("getCheckpointStorage", "/billing/usage/checkpoints/current")
  .setUrlParams(Schema.Struct({ project_id: optionalKey(Schema.String) }))
  .addSuccess(Billing.StorageUsageResponse)

/**
 * @since 0.1.0
 * @category groups
 */
export const Sessions = HttpApiGroup.make("sessions")
  .add(listSessions)
  .add(searchSessions)
  .add(getSession)
  .add(finishSession)
  .add(assignSessionProject)
  .add(exportSessionTrace)

/**
 * @since 0.1.0
 * @category groups
 */
export const TrainingRuns = HttpApiGroup.make("trainingRuns").add(listTrainingRuns).add(getTrainingRun)

/**
 * @since 0.1.0
 * @category groups
 */
export const Checkpoints = HttpApiGroup.make("checkpoints")
  .add(listCheckpoints)
  .add(listUserCheckpoints)
  .add(searchCheckpoints)
  .add(deleteCheckpoint)
  .add(publishCheckpoint)
  .add(unpublishCheckpoint)
  .add(setCheckpointTtl)
  .add(getCheckpointArchive)
  .add(getExternalWeightsUrls)

/**
 * @since 0.1.0
 * @category groups
 */
export const Samplers = HttpApiGroup.make("samplers").add(getSampler)

/**
 * @since 0.1.0
 * @category groups
 */
export const Admin = HttpApiGroup.make("admin").add(getAuditLog).add(getBillingUsage).add(getCheckpointStorage)

/**
 * @since 0.1.0
 * @category contract
 */
export class RestApi extends HttpApi.make("tinker-rest")
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
  .prefix("/api/v1") {}
