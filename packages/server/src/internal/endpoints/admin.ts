/** Handlers of the group `admin`: audit log and usage. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"

/** @internal */
export const admin = HttpApiBuilder.group(TinkerApi, "admin", (handlers) =>
  Effect.map(TinkerService.TinkerService, ({ catalog }) =>
    handlers
      .handle("getAuditLog", ({ urlParams }) => catalog.auditLog(urlParams))
      .handle("getBillingUsage", ({ urlParams }) => catalog.usage(urlParams))
      .handle("getCheckpointStorage", () => catalog.storageUsage)
  )
)
