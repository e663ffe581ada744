/** Endpoints that serve the client library itself: refreshed settings, credentials and telemetry. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Auth from "../../Auth.ts"
import * as Session from "../../Session.ts"
import * as Telemetry from "../../Telemetry.ts"

/**
 * Returns the settings that a running client refreshes periodically.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const clientDynamicConfig = HttpApiEndpoint.post("clientDynamicConfig", "/client/dynamic_config")
  .setPayload(Session.ClientConfigRequest)
  .addSuccess(Session.ClientDynamicConfigResponse)

/**
 * Exchanges the API key in the header for a short-lived access token.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const authToken = HttpApiEndpoint.post("authToken", "/auth/token")
  .setPayload(Schema.Struct({}))
  .addSuccess(Auth.AuthTokenResponse)

/**
 * Describes the API key in the header.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getApiKey = HttpApiEndpoint.get("getApiKey", "/auth/apikey/me").addSuccess(Auth.ApiKeyResponse)

/**
 * Deletes the API key in the header. It can delete no other key.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const deleteApiKey = HttpApiEndpoint.del("deleteApiKey", "/auth/apikey/me").addSuccess(HttpApiSchema.NoContent)

/**
 * Uploads a batch of telemetry events.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const sendTelemetry = HttpApiEndpoint.post("sendTelemetry", "/telemetry")
  .setPayload(Telemetry.SendRequest)
  .addSuccess(Telemetry.SendResponse)

/**
 * The endpoints that serve the client library itself: refreshed settings, credentials and telemetry.
 *
 * @since 0.1.0
 * @category groups
 */
export const ClientGroup = HttpApiGroup.make("client")
  .add(clientDynamicConfig)
  .add(authToken)
  .add(getApiKey)
  .add(deleteApiKey)
  .add(sendTelemetry)
