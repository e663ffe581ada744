/** Every query of the service as a method: the responses of the endpoints that only read. */
import type * as Audit from "@effect-tinker/api/Audit"
import type * as Billing from "@effect-tinker/api/Billing"
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import type * as Weights from "@effect-tinker/api/Weights"
import type * as Effect from "effect/Effect"
import type * as traces from "../records/traces.ts"
import * as audit from "./audit.ts"
import * as billing from "./billing.ts"
import * as checkpoints from "./checkpoints.ts"
import type * as paging from "./paging.ts"
import * as samplers from "./samplers.ts"
import type { Query, ServiceState } from "./serviceState.ts"
import * as sessions from "./sessions.ts"
import * as trainingRuns from "./trainingRuns.ts"
import type { AccessScope } from "./visibility.ts"

/** @internal */
export interface Queries {
  readonly listSessions: (page: paging.Page) => Effect.Effect<Session.ListSessionsResponse>
  readonly searchSessions: (request: SessionSearch.SessionSearchRequest) => Query<SessionSearch.SessionSearchResponse>
  readonly getSession: (id: string) => Query<Session.GetSessionResponse>
  /** The operations of a session of this process. */
  readonly trace: (id: string) => Query<traces.Trace>
  readonly listTrainingRuns: (request: trainingRuns.ListTrainingRuns) => Effect.Effect<TrainingRun.TrainingRunsResponse>
  readonly getTrainingRun: (id: string, scope?: AccessScope) => Query<TrainingRun.TrainingRun>
  readonly listCheckpoints: (run: string) => Query<Checkpoint.CheckpointsListResponse>
  readonly listUserCheckpoints: (page: paging.Page) => Effect.Effect<Checkpoint.CheckpointsListResponse>
  readonly searchCheckpoints: (
    request: Checkpoint.CheckpointSearchRequest
  ) => Query<Checkpoint.CheckpointSearchResponse>
  readonly weightsInfo: (path: string) => Query<Weights.WeightsInfoResponse>
  /** The adapter as PEFT reads it. The caller has authorized the user. */
  readonly files: (path: TinkerPath.TinkerPath) => Query<checkpoints.AdapterFiles>
  readonly getSampler: (id: string) => Query<Sampling.GetSamplerResponse>
  readonly usage: (window: typeof Billing.UsageParams.Type) => Query<Billing.UsageResponse>
  readonly auditLog: (params: typeof Audit.Params.Type) => Query<Audit.AuditLogResponse>
  readonly storageUsage: Effect.Effect<Billing.StorageUsageResponse>
}

/** @internal */
export const make = (state: ServiceState): Queries => ({
  listSessions: (page) => sessions.listSessions(state, page),
  searchSessions: (request) => sessions.searchSessions(state, request),
  getSession: (id) => sessions.getSession(state, id),
  trace: (id) => sessions.getTrace(state, id),
  listTrainingRuns: (request) => trainingRuns.listTrainingRuns(state, request),
  getTrainingRun: (id, scope) => trainingRuns.getTrainingRun(state, id, scope),
  listCheckpoints: (run) => checkpoints.listCheckpoints(state, run),
  listUserCheckpoints: (page) => checkpoints.listUserCheckpoints(state, page),
  searchCheckpoints: (request) => checkpoints.searchCheckpoints(state, request),
  weightsInfo: (path) => checkpoints.weightsInfo(state, path),
  files: (path) => checkpoints.readAdapterFiles(state, path),
  getSampler: (id) => samplers.getSampler(state, id),
  usage: (window) => billing.getUsage(state, window),
  auditLog: (params) => audit.getAuditLog(state, params),
  storageUsage: billing.getStorageUsage(state)
})
