/** What the transport does differently for some endpoints. */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"

/** @internal */
export type Endpoint = HttpApiEndpoint.HttpApiEndpoint.AnyWithProps

// they concern the credential itself; the first determines whether it is exchanged for a token
const plainCredential = new Set(["clientConfig", "authToken", "getApiKey", "deleteApiKey"])

/** Whether the credential itself is sent, and never a token in its place. @internal */
export const sendsPlainCredential = (endpoint: string): boolean => plainCredential.has(endpoint)

const background = new Set([
  "clientConfig",
  "clientDynamicConfig",
  "authToken",
  "createSession",
  "sessionHeartbeat",
  "finishSession",
  "sendTelemetry",
  "retrieveFuture",
  "retrieveFutures",
  "cancelFuture"
])

/** Whether the client makes this request in the background, or reports its failures elsewhere. @internal */
export const isBackground = (endpoint: string): boolean => background.has(endpoint)

const untraced = new Set([
  "clientConfig",
  "clientDynamicConfig",
  "authToken",
  "sessionHeartbeat",
  "sendTelemetry",
  "retrieveFuture",
  "retrieveFutures",
  "cancelFuture"
])

/** Whether the request belongs to no trace: it is sent again and again, and its operation has a span already. @internal */
export const isUntraced = (endpoint: string): boolean => untraced.has(endpoint)

const owners: { readonly [endpoint: string]: string } = {
  createModel: "ServiceClient",
  createSamplingSession: "ServiceClient",
  joinSamplingSession: "SamplingClient",
  asample: "SamplingClient",
  getInfo: "TrainingClient",
  forward: "TrainingClient",
  forwardBackward: "TrainingClient",
  optimStep: "TrainingClient",
  saveWeights: "TrainingClient",
  saveWeightsForSampler: "TrainingClient",
  saveWeightsExternal: "TrainingClient",
  loadWeights: "TrainingClient",
  createCustomLoss: "TrainingClient"
}

/** The client that an endpoint belongs to, for `x-sdk-method`. @internal */
export const ownerOf = (endpoint: string): string => owners[endpoint] ?? "RestClient"
