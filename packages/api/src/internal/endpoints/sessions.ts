/** Endpoints that look up and manage sessions. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Pagination from "../../Pagination.ts"
import * as Session from "../../Session.ts"
import * as SessionSearch from "../../SessionSearch.ts"

const sessionPath = Schema.Struct({ session_id: Schema.String })

/**
 * Lists session ids, page by page.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const listSessions = HttpApiEndpoint.get("listSessions", "/sessions")
  .setUrlParams(Schema.Struct({ ...Pagination.Page.fields, ...Pagination.Scope.fields }))
  .addSuccess(Session.ListSessionsResponse)

/**
 * Searches sessions, newest first.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const searchSessions = HttpApiEndpoint.post("searchSessions", "/sessions/search")
  .setPayload(SessionSearch.SessionSearchRequest)
  .addSuccess(SessionSearch.SessionSearchResponse)

/**
 * Lists the training runs and samplers of a session.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getSession = HttpApiEndpoint.get("getSession", "/sessions/:session_id")
  .setPath(sessionPath)
  .setUrlParams(Pagination.Scope)
  .addSuccess(Session.GetSessionResponse)

/**
 * Ends a session and records the reason.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const finishSession = HttpApiEndpoint.post("finishSession", "/sessions/:session_id/finish")
  .setPath(sessionPath)
  .setPayload(Session.FinishSessionRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Moves a session and everything in it to a project. It cannot be moved out again.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const assignSessionProject = HttpApiEndpoint.put("assignSessionProject", "/sessions/:session_id/project")
  .setPath(sessionPath)
  .setPayload(Session.AssignSessionProjectRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Starts building a trace, or returns the state of the build. Poll every five seconds.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const exportSessionTrace = HttpApiEndpoint.get("exportSessionTrace", "/sessions/:session_id/trace_export")
  .setPath(sessionPath)
  .addSuccess(Session.TraceExportResponse)

/**
 * The endpoints that look up and manage sessions.
 *
 * @since 0.1.0
 * @category groups
 */
export const SessionsGroup = HttpApiGroup.make("sessions")
  .add(listSessions)
  .add(searchSessions)
  .add(getSession)
  .add(finishSession)
  .add(assignSessionProject)
  .add(exportSessionTrace)
