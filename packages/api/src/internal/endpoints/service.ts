/** Endpoints for the settings and capabilities of the service, and for opening sessions. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Session from "../../Session.ts"

/**
 * Returns the settings that the server wants its clients to use.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const clientConfig = HttpApiEndpoint.post("clientConfig", "/client/config")
  .setPayload(Session.ClientConfigRequest)
  .addSuccess(Session.ClientConfigResponse)

/**
 * Reports whether the service is up.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const healthz = HttpApiEndpoint.get("healthz", "/healthz").addSuccess(Session.HealthResponse)

/**
 * Lists the base models that the service supports.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getServerCapabilities = HttpApiEndpoint.get(
  "getServerCapabilities",
  "/get_server_capabilities"
).addSuccess(Session.GetServerCapabilitiesResponse)

/**
 * Opens a session. Models, samplers and checkpoints belong to one.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createSession = HttpApiEndpoint.post("createSession", "/create_session")
  .setPayload(Session.CreateSessionRequest)
  .addSuccess(Session.CreateSessionResponse)

/**
 * Keeps a session alive.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const sessionHeartbeat = HttpApiEndpoint.post("sessionHeartbeat", "/session_heartbeat")
  .setPayload(Session.SessionHeartbeatRequest)
  .addSuccess(Session.SessionHeartbeatResponse)

/**
 * The endpoints for the settings and capabilities of the service, and for opening sessions.
 *
 * @since 0.1.0
 * @category groups
 */
export const ServiceGroup = HttpApiGroup.make("service")
  .add(clientConfig)
  .add(healthz)
  .add(getServerCapabilities)
  .add(createSession)
  .add(sessionHeartbeat)
