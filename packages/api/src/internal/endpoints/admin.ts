/** Endpoints for administrators: the audit log, usage and storage. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Schema from "effect/Schema"
import * as Audit from "../../Audit.ts"
import * as Billing from "../../Billing.ts"
import { optionalKey } from "../schemas/optional.ts"

/**
 * Returns the organization's audit log, for administrators.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getAuditLog = HttpApiEndpoint.get("getAuditLog", "/audit")
  .setUrlParams(Audit.Params)
  .addSuccess(Audit.AuditLogResponse)

/**
 * Returns usage and estimated costs by hour.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getBillingUsage = HttpApiEndpoint.get("getBillingUsage", "/billing/usage/events")
  .setUrlParams(Billing.UsageParams)
  .addSuccess(Billing.UsageResponse)

/**
 * Returns the storage that checkpoints occupy now.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getCheckpointStorage = HttpApiEndpoint.get("getCheckpointStorage", "/billing/usage/checkpoints/current")
  .setUrlParams(Schema.Struct({ project_id: optionalKey(Schema.String) }))
  .addSuccess(Billing.StorageUsageResponse)

/**
 * The endpoints for administrators: the audit log, usage and storage.
 *
 * @since 0.1.0
 * @category groups
 */
export const AdminGroup = HttpApiGroup.make("admin").add(getAuditLog).add(getBillingUsage).add(getCheckpointStorage)
