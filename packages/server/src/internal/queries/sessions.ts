/** Lists, searches and describes sessions: those of this process, and those whose checkpoints are stored. */
import type * as Session from "@effect-tinker/api/Session"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import * as currentUser from "../auth/currentUser.ts"
import type * as traces from "../records/traces.ts"
import * as responses from "../util/responses.ts"
import type * as Store from "../../Store.ts"
import * as sessions from "../work/sessions.ts"
import * as paging from "./paging.ts"
import * as projects from "./projects.ts"
import { listInfos, type Query, type ServiceState } from "./serviceState.ts"
import { visibleTrainingRuns } from "./trainingRuns.ts"
import * as visibility from "./visibility.ts"

/** The checkpoints of one session. */
interface CheckpointTotals {
  readonly count: number
  readonly bytes: number
  /** when the first was created, in milliseconds since the epoch */
  readonly oldest: number
  readonly owner: string | undefined
}

type Summary = SessionSearch.SessionSummary & { readonly status: sessions.Status | undefined }

const totalsBySession = (infos: ReadonlyArray<CheckpointStore.Info>): Map<string, CheckpointTotals> => {
  const totals = new Map<string, CheckpointTotals>()
  for (const info of infos) {
    const id = projects.sessionOfRun(info.training_run_id)
    if (id === undefined) continue
    const { bytes, count, oldest, owner } = totals.get(id) ?? {
      count: 0,
      bytes: 0,
      oldest: Infinity,
      owner: info.owner
    }
    totals.set(id, {
      count: count + 1,
      bytes: bytes + info.size_bytes,
      oldest: Math.min(oldest, info.created_at),
      owner
    })
  }
  return totals
}

/** `record` is absent for a session of an earlier process; then there are checkpoints. */
const toSummary = (
  id: string,
  record: Store.SessionRow | undefined,
  totals: CheckpointTotals | undefined
): Summary => ({
  session_id: id,
  created_at: DateTime.unsafeMake(record?.created_at ?? totals!.oldest),
  owner: currentUser.ownerName(record === undefined ? totals?.owner : record.owner),
  project_id: record?.project_id ?? projects.defaultProject,
  status: record?.status,
  checkpoints_count: totals?.count ?? 0,
  display_name: record?.display_name,
  user_metadata: record?.user_metadata,
  checkpoint_storage_bytes: totals?.bytes ?? 0
})

const sortKey = (summary: SessionSearch.SessionSummary): paging.SortKey => [
  DateTime.toEpochMillis(summary.created_at),
  summary.session_id
]

/** All sessions of the current user, the newest first. */
const ownSessions = Effect.fnUntraced(function* (state: ServiceState) {
  const user = yield* currentUser.CurrentUser
  const infos = (yield* listInfos(state)).filter((info) => currentUser.owns(user, info.owner))
  const totals = totalsBySession(infos)
  const summaries = new Map<string, Summary>()
  for (const [id, row] of yield* projects.sessionRows(state, user.id)) {
    summaries.set(id, toSummary(id, row, totals.get(id)))
  }
  for (const [id, sum] of totals) if (!summaries.has(id)) summaries.set(id, toSummary(id, undefined, sum))
  return paging.newestFirst(Array.from(summaries.values()), sortKey)
})

/** @internal */
export const listSessions = (state: ServiceState, page: paging.Page): Effect.Effect<Session.ListSessionsResponse> =>
  Effect.map(ownSessions(state), (own) => ({
    sessions: paging.pageAt(own, page, 20).items.map(({ session_id }) => session_id)
  }))

const matchesStatus = (
  status: sessions.Status | undefined,
  queries: ReadonlyArray<SessionSearch.SessionStatusQuery> | undefined
): boolean =>
  queries === undefined ||
  queries.some((query) =>
    query.type === "client_finished"
      ? status?.type === "client_finished" && (query.reasons?.includes(status.reason.type) ?? true)
      : status?.type === query.type
  )

const words = (text: string): ReadonlyArray<string> => text.toLowerCase().split(/\s+/).filter(Boolean)

/** Whether every word searched for starts a word of the session's display name. */
const matchesDisplayName = (summary: Summary, searched: string): boolean => {
  const wanted = words(searched)
  const names = words(summary.display_name ?? "")
  return wanted.length > 0 && wanted.every((word) => names.some((name) => name.startsWith(word)))
}

/** A search by id and by name finds sessions that match either. */
const matchesIdOrName = (summary: Summary, { display_name, session_id }: SessionSearch.SessionSearchRequest): boolean =>
  (session_id === undefined && display_name === undefined) ||
  summary.session_id === session_id ||
  matchesDisplayName(summary, display_name ?? "")

const matches = (summary: Summary, request: SessionSearch.SessionSearchRequest): boolean => {
  const { owner, project_ids, statuses, user_metadata } = request
  return (
    matchesIdOrName(summary, request) &&
    (project_ids === undefined || project_ids.includes(summary.project_id)) &&
    visibility.matchesMetadata(user_metadata, summary.user_metadata) &&
    matchesStatus(summary.status, statuses) &&
    visibility.isOwnerSearched(owner, summary.owner)
  )
}

/** @internal */
export const searchSessions = Effect.fnUntraced(function* (
  state: ServiceState,
  request: SessionSearch.SessionSearchRequest
): Effect.fn.Return<SessionSearch.SessionSearchResponse, responses.OperationRejection> {
  const { cursor, limit } = request
  const matching = (yield* ownSessions(state)).filter((summary) => matches(summary, request))
  const start = cursor && { time: cursor.last_created_at, name: cursor.last_session_id }
  const { last, page } = paging.firstPage(yield* paging.afterCursor(matching, sortKey, start), limit)
  return {
    sessions: page,
    next_cursor: last && {
      last_created_at: DateTime.formatIso(last.created_at),
      last_session_id: last.session_id
    }
  }
})

const samplersOf = ({ records }: ServiceState, session: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(Effect.orDie(records.samplers.list({ where: { session_id: session } })), (rows) =>
    rows
      .slice()
      .sort((a, b) => a.created_at - b.created_at)
      .map(({ id }) => id)
  )

/** @internal */
export const getSession = Effect.fnUntraced(function* (
  state: ServiceState,
  id: string
): Effect.fn.Return<Session.GetSessionResponse, responses.OperationRejection> {
  const runs = yield* visibleTrainingRuns(state, "owned")
  const training_run_ids = Array.from(runs.keys()).filter((run) => projects.sessionOfRun(run) === id)
  const record = yield* Effect.orElseSucceed(sessions.findRow(state.records, id), () => undefined)
  if (record === undefined && training_run_ids.length === 0) return yield* responses.notFound(`no session ${id}`)
  return {
    training_run_ids,
    sampler_ids: record === undefined ? [] : yield* samplersOf(state, id),
    user_metadata: record?.user_metadata,
    display_name: record?.display_name
  }
})

/** The operations of a session in this process. @internal */
export const getTrace = (state: ServiceState, id: string): Query<traces.Trace> =>
  Effect.map(sessions.findRow(state.records, id), () => state.sessions.traceOf(id))
