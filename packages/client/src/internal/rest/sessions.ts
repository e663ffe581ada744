/** Lists, searches, finishes and traces sessions; describes samplers. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as Effect from "effect/Effect"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as codec from "../codec/endpoint.ts"
import * as inputs from "./inputs.ts"
import { listOperation, operation, streamOperation } from "./operation.ts"
import type * as options from "./options.ts"
import * as pages from "./pages.ts"
import * as sessionTrace from "./sessionTrace.ts"

/**
 * The sessions of an account.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sessions {
  readonly getSession: (session_id: string, options?: options.Access) => options.RestEffect<Session.GetSessionResponse>
  /** One page of session ids. */
  readonly listSessions: (options?: options.Page & options.Access) => options.RestEffect<Session.ListSessionsResponse>
  /** All session ids, page by page. */
  readonly streamSessions: (options?: options.Walk & options.Access) => options.RestStream<string>
  /** One page of search results. */
  readonly searchSessions: (
    request?: typeof SessionSearch.SessionSearchRequest.Encoded
  ) => options.RestEffect<SessionSearch.SessionSearchResponse>
  /** All results of a search from `cursor` on; `limit` is the page size. */
  readonly streamSessionSearch: (
    request?: typeof SessionSearch.SessionSearchRequest.Encoded
  ) => options.RestStream<SessionSearch.SessionSearchResponse["sessions"][number]>
  /** Ends a session for good. If it has ended already, the first reason is kept. */
  readonly finishSession: (
    session_id: string,
    reason: "success" | "errored" | "interrupted",
    detail?: string
  ) => options.RestEffect<void>
  /** Moves a session and everything in it into a project. It cannot be moved again. */
  readonly assignSessionProject: (session_id: string, project_id: string) => options.RestEffect<void>
  /**
   * Builds a Perfetto trace of a session and returns its URL. Polls every five seconds for at most `atMost` (30 minutes by
   * default). Fails with `RequestFailed` if the service cannot build the trace, or not in time.
   */
  readonly exportSessionTrace: (session_id: string, options?: sessionTrace.Options) => options.RestEffect<string>
  /** A sampling session: its base model, and the weights that it samples from. */
  readonly getSampler: (sampler_id: string) => options.RestEffect<Sampling.GetSamplerResponse>
}

const readSessionSearch = codec.input("searchSessions", "request", SessionSearch.SessionSearchRequest)

const getSession =
  (client: TinkerClient.Service): Sessions["getSession"] =>
  (session_id, options = {}) => {
    const method = "getSession"
    return listOperation(
      method,
      client.call(TinkerApi.getSession, inputs.noPayload, {
        path: { session_id },
        urlParams: inputs.accessParams(options)
      })
    )
  }

const listSessions =
  (client: TinkerClient.Service): Sessions["listSessions"] =>
  (options = {}) => {
    const method = "listSessions"
    return listOperation(
      method,
      Effect.flatMap(inputs.pageParams(method, options), (page) =>
        client.call(TinkerApi.listSessions, inputs.noPayload, {
          method,
          urlParams: { ...page, ...inputs.accessParams(options) }
        })
      )
    )
  }

const streamSessions =
  (list: Sessions["listSessions"]): Sessions["streamSessions"] =>
  (options = {}) => {
    const method = "streamSessions"
    return streamOperation(method, () =>
      pages.byOffset(method, options, (page) =>
        Effect.map(list({ ...page, access_scope: options.access_scope }), ({ sessions }) => ({
          items: sessions,
          total: undefined
        }))
      )
    )
  }

const searchSessions =
  (client: TinkerClient.Service): Sessions["searchSessions"] =>
  (request = {}) => {
    const method = "searchSessions"
    return listOperation(
      method,
      Effect.flatMap(readSessionSearch(request), (payload) =>
        client.call(TinkerApi.searchSessions, payload, { method })
      )
    )
  }

const streamSessionSearch =
  (search: Sessions["searchSessions"]): Sessions["streamSessionSearch"] =>
  (request = {}) =>
    streamOperation("streamSessionSearch", () =>
      pages.byCursor(request.cursor ?? undefined, (cursor) =>
        Effect.map(search({ ...request, cursor }), ({ next_cursor, sessions }) => ({
          items: sessions,
          next: next_cursor
        }))
      )
    )

const finishSession =
  (client: TinkerClient.Service): Sessions["finishSession"] =>
  (session_id, type, detail) =>
    operation(
      "finishSession",
      client.call(TinkerApi.finishSession, { reason: { type }, detail: detail ?? null }, { path: { session_id } })
    )

const assignSessionProject =
  (client: TinkerClient.Service): Sessions["assignSessionProject"] =>
  (session_id, project_id) => {
    const method = "assignSessionProject"
    return operation(
      method,
      project_id.trim() === ""
        ? inputs.invalidInput(method, "project_id", "is empty")
        : client.call(TinkerApi.assignSessionProject, { project_id }, { path: { session_id } })
    )
  }

/** @internal */
export const make = (client: TinkerClient.Service): Sessions => {
  const list = listSessions(client)
  const search = searchSessions(client)
  return {
    getSession: getSession(client),
    listSessions: list,
    streamSessions: streamSessions(list),
    searchSessions: search,
    streamSessionSearch: streamSessionSearch(search),
    finishSession: finishSession(client),
    assignSessionProject: assignSessionProject(client),
    exportSessionTrace: (session_id, options) =>
      operation("exportSessionTrace", sessionTrace.exportSessionTrace(client, session_id, options)),
    getSampler: (sampler_id) =>
      operation("getSampler", client.call(TinkerApi.getSampler, inputs.noPayload, { path: { sampler_id } }))
  }
}
