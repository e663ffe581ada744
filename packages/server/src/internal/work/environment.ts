/** What all parts of the service share: the engine, the stores, the settings and the scope. */
import type * as Scope from "effect/Scope"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import type * as auditLog from "../records/auditLog.ts"
import type * as usageLog from "../records/usageLog.ts"
import type { Turns } from "../turns/turns.ts"
import * as responses from "../util/responses.ts"
import type * as futures from "./futures.ts"
import type { Settings } from "./settings.ts"
import type { StabilityRecords } from "./stability.ts"

/** @internal */
export interface Environment {
  readonly engine: Engine.Service
  readonly store: CheckpointStore.Service
  readonly futures: futures.Futures
  readonly usageLog: usageLog.UsageLog
  readonly auditLog: auditLog.AuditLog
  readonly stability: StabilityRecords
  readonly settings: Settings
  readonly turns: Turns
  /** open as long as the service runs */
  readonly scope: Scope.Scope
}

/** The rejection of a new operation while a session has too many pending ones. @internal */
export const overloaded = (
  environment: Environment,
  load: futures.SessionLoad
): responses.OperationRejection | undefined => {
  const { maxPending } = environment.settings
  return load.pending < maxPending
    ? undefined
    : responses.tooMany(`${load.pending} operations wait or run, and the limit is ${maxPending}: wait for results`)
}
