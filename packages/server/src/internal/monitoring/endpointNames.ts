/** The name of the endpoint that a request goes to: a label with few values, and nothing that users choose. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApi from "@effect/platform/HttpApi"

interface Route {
  readonly name: string
  readonly segments: ReadonlyArray<string>
}

/** Routes that are no endpoints of the contract. */
const others: ReadonlyArray<readonly [method: string, path: string, name: string]> = [
  ["GET", "/api/v1/readyz", "readyz"],
  ["GET", "/metrics", "metrics"],
  ["GET", "/api/v1/downloads/traces/:session", "downloadTrace"],
  ["GET", "/api/v1/downloads/:run/:kind/:name/:file", "downloadFile"],
  ["GET", "/v1/models", "openAiModels"],
  ["POST", "/v1/completions", "openAiCompletions"],
  ["POST", "/v1/chat/completions", "openAiChat"],
  ["POST", "/oai/api/v1/completions", "openAiCompletions"],
  ["POST", "/oai/api/v1/chat/completions", "openAiChat"],
  ["POST", "/conversations/:conversation/v1/completions", "openAiCompletions"],
  ["POST", "/conversations/:conversation/v1/chat/completions", "openAiChat"],
  ["PUT", "/api/v1/uploads/:id/:file", "uploadFile"]
]

const exact = new Map<string, string>()
const withParameters = new Map<string, Array<Route>>()

const add = (method: string, path: string, name: string): void => {
  if (!path.includes(":")) {
    exact.set(`${method} ${path}`, name)
    return
  }
  const routes = withParameters.get(method) ?? []
  withParameters.set(method, routes)
  routes.push({ name, segments: path.split("/") })
}

HttpApi.reflect(TinkerApi, {
  onGroup: () => undefined,
  onEndpoint: ({ endpoint }) => add(endpoint.method, endpoint.path, endpoint.name)
})
for (const [method, path, name] of others) add(method, path, name)

const matches = (route: ReadonlyArray<string>, segments: ReadonlyArray<string>): boolean =>
  route.length === segments.length &&
  route.every((segment, i) => segment.startsWith(":") || segment === "*" || segment === segments[i])

/** The name in the contract; `other` for what has no route. @internal */
export const nameOf = (method: string, path: string): string => {
  const found = exact.get(`${method} ${path}`)
  if (found !== undefined) return found
  const candidates = withParameters.get(method === "HEAD" ? "GET" : method)
  if (candidates === undefined) return "other"
  const segments = path.split("/", 16)
  return candidates.find((route) => matches(route.segments, segments))?.name ?? "other"
}
