/** What every request passes through: authentication, decompression, and the conversion of failures to responses. */
import * as Training from "@effect-tinker/api/Training"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as TinkerService from "../../TinkerService.ts"
import type * as apiKeys from "../auth/apiKeys.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as tokens from "../auth/tokens.ts"
import { updateContext, withCurrentSpan } from "../effect/runtime.ts"
import * as requests from "../monitoring/requests.ts"
import * as directApps from "../util/directApps.ts"
import * as refusedSeqIds from "../util/refusedSeqIds.ts"
import * as apiErrors from "./apiErrors.ts"
import * as bodies from "./bodies.ts"
import { CurrentLease } from "./body/budget.ts"
import * as openAiPaths from "./openai/paths.ts"
import * as openPaths from "./openPaths.ts"
import * as signedPaths from "./signedPaths.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** @internal */
export interface Dependencies extends bodies.BodyOptions {
  readonly tinker: TinkerService.Service
  readonly keys: apiKeys.Service
  /** what needs no router */
  readonly direct: directApps.DirectApps
}

const unauthorized = (request: Request): Response => {
  const isToken = tokens.isToken(openAiPaths.credentialOf(request))
  const header = openAiPaths.keyHeaderOf(request)
  const response = apiErrors.toResponse({
    status: 401,
    detail: isToken ? `the token in ${header} is wrong or has expired` : `the key in ${header} is missing or wrong`,
    tag: "UnauthorizedResponse"
  })
  // tells clients to request another token
  return isToken ? HttpServerResponse.setHeader(response, "www-authenticate", 'Bearer error="invalid_token"') : response
}

/** Consumes the `seq_id` of an operation whose body is malformed, so that later operations need not wait for it. */
const rejectMalformed = (dependencies: Dependencies, request: Request, detail: string): Effect.Effect<void> =>
  Effect.matchEffect(bodies.isProtobuf(request) ? Effect.void : bodies.uncheckedJson(dependencies, request), {
    onFailure: () => Effect.void,
    onSuccess: (body) =>
      typeof body === "object" && body !== null && "model_id" in body && "seq_id" in body
        ? dependencies.tinker.rejectMalformed(body, detail)
        : Effect.void
  })

/** Logs a failure of the service. Its response has the id of the log entry, and nothing of the failure. */
const toInternalError = (
  request: Request,
  { id }: requests.CurrentRequest,
  cause: Cause.Cause<unknown>
): Effect.Effect<Response> => {
  const detail = `internal error: the service has logged it as request ${id}`
  return Effect.as(
    Effect.logError(`request ${id} failed: ${request.method} ${request.url.split("?")[0]}`, cause),
    apiErrors.toResponse({ status: 500, detail })
  )
}

/** The response to a failed request. */
const toErrorResponse = (
  dependencies: Dependencies,
  request: Request,
  record: requests.CurrentRequest,
  cause: Cause.Cause<unknown>
): Effect.Effect<Response> => {
  if (Cause.isInterrupted(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  const error = apiErrors.fromCause(cause)
  if (error === undefined) return toInternalError(request, record, cause)
  const response = apiErrors.toResponse(error)
  return error.status === 422
    ? Effect.as(rejectMalformed(dependencies, request, error.detail), response)
    : Effect.succeed(response)
}

/** Adds headers that say whether, and when, to retry. */
const withRetryHints = (response: Response): Response => {
  switch (response.status) {
    // clients retry a 409 by default, but this service would respond with it again
    case 409:
      return HttpServerResponse.setHeader(response, "x-should-retry", "false")
    case 429:
    case 503:
      return HttpServerResponse.setHeader(response, "retry-after", "1")
    // what is full stays full until the user deletes something
    case 507:
      return HttpServerResponse.setHeader(response, "x-should-retry", "false")
    default:
      return response
  }
}

/**
 * The user of a request; `undefined` if it is not authorized. Signed URLs authorize themselves, and probes for readiness
 * have no key.
 */
const authenticate = (keys: apiKeys.Service, request: Request): Effect.Effect<currentUser.User | undefined> =>
  signedPaths.isDownload(request) || signedPaths.isUpload(request) || openPaths.isReadiness(request)
    ? Effect.succeed(currentUser.everyone)
    : keys.identify(openAiPaths.credentialOf(request))

/** Runs the handler with the sequence numbers that the request names as rejected. */
const withRefusedSeqIds = (app: HttpApp.Default, { headers }: Request): HttpApp.Default => {
  const header = headers[Training.refusedSeqIdsHeader]
  return header === undefined
    ? app
    : Effect.provideService(app, refusedSeqIds.RefusedSeqIds, refusedSeqIds.parse(header))
}

/** Names the route on the span of the request, as the router does; not on a span of another service. */
const nameRoute = (route: string): Effect.Effect<void> =>
  withCurrentSpan((span) => {
    if (span?._tag === "Span") span.attribute("http.route", route)
  })

/** Runs the request, with the router only if it needs it. */
const run = ({ direct }: Dependencies, app: HttpApp.Default, request: Request): HttpApp.Default<unknown> => {
  const found = directApps.find(direct, request)
  return found === undefined
    ? Effect.provideService(withRefusedSeqIds(app, request), HttpServerRequest.HttpServerRequest, request)
    : Effect.andThen(nameRoute(request.url), Effect.interruptible(found.handle(request)))
}

const handle = (
  dependencies: Dependencies,
  app: HttpApp.Default,
  request: Request,
  record: requests.CurrentRequest
): HttpApp.Default =>
  Effect.matchCauseEffect(run(dependencies, app, request), {
    onFailure: (cause) => Effect.map(toErrorResponse(dependencies, request, record, cause), withRetryHints),
    onSuccess: (response) => Effect.succeed(withRetryHints(response))
  })

/** Handles a request. Its body leaves the budget with the response: whether that can be sent does not matter. */
const handleAs = (
  dependencies: Dependencies,
  app: HttpApp.Default,
  request: Request,
  record: requests.CurrentRequest
): HttpApp.Default =>
  Effect.matchEffect(bodies.normalize(dependencies, request), {
    onFailure: (error) => Effect.succeed(withRetryHints(apiErrors.toResponse(error))),
    onSuccess: (normalized) => handle(dependencies, app, normalized, record)
  }).pipe(Effect.ensuring(Effect.map(CurrentLease, (lease) => lease.release())))

/** Runs an app that may ask which request runs, and for whom. */
const provide = <A, E, R>(
  app: Effect.Effect<A, E, R>,
  record: requests.CurrentRequest,
  user: currentUser.User
): Effect.Effect<A, E, R> =>
  updateContext(app, (context: Context.Context<R>) =>
    Context.add(Context.add(context, requests.RequestRecord, record), currentUser.CurrentUser, user)
  )

/** @internal */
export const make =
  (dependencies: Dependencies) =>
  (app: HttpApp.Default): HttpApp.Default =>
    requests.observe((request, record) =>
      authenticate(dependencies.keys, request).pipe(
        Effect.flatMap((user) => {
          if (user === undefined) return Effect.succeed(unauthorized(request))
          record.user = currentUser.ownerName(user.id)
          return provide(handleAs(dependencies, app, request, record), record, user)
        }),
        // what fails outside of the handlers
        Effect.catchAllCause((cause) => toErrorResponse(dependencies, request, record, cause)),
        Effect.map((response) => openAiPaths.withErrorForm(request, response))
      )
    )
