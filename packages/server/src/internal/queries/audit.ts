/** Reports the audit log of a day. */
import type * as Audit from "@effect-tinker/api/Audit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as responses from "../util/responses.ts"
import type { ServiceState } from "./serviceState.ts"

const dayMillis = 24 * 60 * 60 * 1000

/** Entries of a UTC day, by default of today. The service records changes to checkpoints only. @internal */
export const getAuditLog = Effect.fnUntraced(function* (
  { auditLog }: ServiceState,
  { day, event_type = "all" }: typeof Audit.Params.Type
): Effect.fn.Return<Audit.AuditLogResponse, responses.OperationRejection> {
  const now = yield* Clock.currentTimeMillis
  const start = day === undefined ? now - (now % dayMillis) : Date.parse(`${day}T00:00:00Z`)
  if (Number.isNaN(start)) return yield* responses.badRequest(`day: ${day} is not a date`)
  const isRecorded = event_type === "all" || event_type === "checkpoints"
  return { entries: isRecorded ? yield* auditLog.entries(start, start + dayMillis) : [] }
})
