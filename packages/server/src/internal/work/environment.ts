/** What all parts of the service share: the engine, the stores, the settings and the scope. */
import type * as Scope from "effect/Scope"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import type * as Store from "../../Store.ts"
import type { Quota } from "../checkpoints/quota.ts"
import type * as auditLog from "../records/auditLog.ts"
import type * as usageLog from "../records/usageLog.ts"
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
  readonly stability: StabilityRecords
  readonly settings: Settings
  readonly turns: Turns
  readonly admission: Admission
  /** open as long as the service runs */
  readonly scope: Scope.Scope
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
