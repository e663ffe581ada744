/** What all parts of the service share: the engine, the stores, the settings and the scope. */
import type * as Scope from "effect/Scope"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import type * as Store from "../../Store.ts"
import type { Quota } from "../checkpoints/quota.ts"
import type * as auditLog from "../records/auditLog.ts"
import type * as usageLog from "../records/usageLog.ts"
import type * as users from "../records/users.ts"
import type { ForkApart } from "../effect/runtime.ts"
import type { Turns } from "../turns/turns.ts"
import * as responses from "../util/responses.ts"
import type { Admission } from "./drain.ts"
import type * as futures from "./futures.ts"
import type { Settings } from "./settings.ts"
import type { StabilityRecords } from "./stability.ts"

/** @internal */
export interface Environment {
  readonly engine: Engine.Service
  /** with quotas, it enforces them */
  readonly store: CheckpointStore.Service
  readonly records: Store.Service
  readonly quota: Quota
  readonly futures: futures.Futures
  readonly usageLog: usageLog.UsageLog
  readonly auditLog: auditLog.AuditLog
  readonly users: users.Users
  readonly stability: StabilityRecords
  readonly settings: Settings
  readonly turns: Turns
  readonly admission: Admission
  /** open as long as the service runs */
  readonly scope: Scope.Scope
  /** starts what outlives the request that asks for it, in `scope` */
  readonly forkApart: ForkApart
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`

/** The rejection of a new operation, of so many bytes, while its user has too much in the service. @internal */
export const overloaded = (
  { settings }: Environment,
  { user: { pending, pendingBytes, resultBytes } }: futures.SessionLoad,
  bytes: number
): responses.OperationRejection | undefined => {
  const { maxPending, maxPendingBytes, maxResultBytes } = settings
  if (pending >= maxPending) {
    return responses.tooMany(`${pending} operations wait or run, and the limit is ${maxPending}: wait for results`)
  }
  // a request that is larger than the limit runs alone
  if (pending > 0 && pendingBytes + bytes > maxPendingBytes) {
    return responses.tooMany(
      `operations of ${megabytes(pendingBytes)} wait or run, and with this one they would exceed the limit of ` +
        `${megabytes(maxPendingBytes)}: wait for results`
    )
  }
  return resultBytes < maxResultBytes
    ? undefined
    : responses.tooMany(
        `results of ${megabytes(resultBytes)} were not fetched, and the limit is ${megabytes(maxResultBytes)}: fetch them`
      )
}

/** The rejection of a new session of a user who has too many. They end by themselves, so that a client may try again. @internal */
export const tooManySessions = (
  { settings: { maxSessions } }: Environment,
  { sessions }: futures.UserLoad
): responses.OperationRejection | undefined =>
  sessions < maxSessions
    ? undefined
    : responses.tooMany(`${sessions} of your sessions have not ended, and the limit is ${maxSessions}: finish some`)

/** The rejection of a new model of a user who has too many. @internal */
export const tooManyModels = (
  { settings: { maxModels } }: Environment,
  { models }: futures.UserLoad
): responses.OperationRejection | undefined =>
  models < maxModels
    ? undefined
    : responses.conflict(
        `your sessions that have not ended have ${models} models, and the limit is ${maxModels}; those that were unloaded ` +
          "count too: finish a session"
      )

/** The rejection of a new sampling session of a user who has too many. @internal */
export const tooManySamplers = (
  { settings: { maxSamplerBytes, maxSamplers } }: Environment,
  { samplerBytes, samplers }: futures.UserLoad
): responses.OperationRejection | undefined => {
  if (samplers >= maxSamplers) {
    return responses.conflict(
      `your sessions that have not ended have ${samplers} sampling sessions, and the limit is ${maxSamplers}: finish a session`
    )
  }
  return samplerBytes < maxSamplerBytes
    ? undefined
    : responses.conflict(
        `weights of ${megabytes(samplerBytes)} that were saved without a name are in memory, and the limit is ` +
          `${megabytes(maxSamplerBytes)}: save under a name, or finish a session`
      )
}
