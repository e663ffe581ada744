/** The paths of the operator: probes for readiness need no key, metrics do. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

/** @internal */
export const readiness = "/api/v1/readyz"

/** @internal */
export const metrics = "/metrics"

/** @internal */
export const isReadiness = ({ method, url }: HttpServerRequest.HttpServerRequest): boolean =>
  (method === "GET" || method === "HEAD") && url.split("?")[0] === readiness
