import type * as Audit from "@effect-tinker/api/Audit"
import type * as Billing from "@effect-tinker/api/Billing"
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import type * as Pagination from "@effect-tinker/api/Pagination"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Session from "@effect-tinker/api/Session"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as files from "../checkpoints/files.ts"
import * as checkpoints from "../checkpoints/access.ts"
import { type Environment, findBaseModel, onOffer } from "../work/environment.ts"
import type * as models from "../work/models.ts"
import * as responses from "../util/responses.ts"
import type * as samplers from "../work/samplers.ts"
import type * as sessions from "../work/sessions.ts"
import type * as traces from "../records/traces.ts"

type Refused<A> = Effect.Effect<A, responses.OperationRejection>
type Page = typeof Pagination.Page.Type

/** What the service knows of sessions, runs and checkpoints, and what can be changed of them. @internal */
export interface Catalog {
  readonly listSessions: (page: Page) => Effect.Effect<Session.ListSessionsResponse>
  readonly searchSessions: (request: SessionSearch.SessionSearchRequest) => Refused<SessionSearch.SessionSearchResponse>
  readonly getSession: (id: string) => Refused<Session.GetSessionResponse>
  /** what was done in a session of this service's life */
  readonly trace: (id: string) => Refused<traces.Trace>
  readonly assignProject: (id: string, project: string) => Refused<void>
  readonly listTrainingRuns: (
    page: Page & { readonly project_id?: string | undefined; readonly access_scope?: Scope }
  ) => Effect.Effect<TrainingRun.TrainingRunsResponse>
  readonly getTrainingRun: (id: string, scope?: Scope) => Refused<TrainingRun.TrainingRun>
  readonly listCheckpoints: (run: string) => Refused<Checkpoint.CheckpointsListResponse>
  readonly listUserCheckpoints: (page: Page) => Effect.Effect<Checkpoint.CheckpointsListResponse>
  readonly searchCheckpoints: (
    request: Checkpoint.CheckpointSearchRequest
  ) => Refused<Checkpoint.CheckpointSearchResponse>
  readonly deleteCheckpoint: (path: TinkerPath.TinkerPath) => Refused<void>
  readonly setPublic: (path: TinkerPath.TinkerPath, isPublic: boolean) => Refused<void>
  readonly setTtl: (path: TinkerPath.TinkerPath, seconds: number | null) => Refused<void>
  /** attempts of one call carry the same `key`, and make one copy */
  readonly copyWeights: (
    request: Weights.CopyWeightsRequest,
    key?: string | undefined
  ) => Refused<Weights.CopyWeightsResponse>
  /** refuses an adapter by what is said of it, before its files come; answers how many bytes its tensors have */
  readonly checkUpload: (request: Weights.ExternalWeightsUploadStartRequest) => Refused<number>
  /** stores an adapter that was made elsewhere, to sample from, and answers its path */
  readonly storeUpload: (
    request: Weights.ExternalWeightsUploadStartRequest,
    files: { readonly config: Uint8Array; readonly adapter: Uint8Array }
  ) => Refused<string>
  readonly weightsInfo: (path: string) => Refused<Weights.WeightsInfoResponse>
  /** the adapter as PEFT reads it */
  readonly files: (path: TinkerPath.TinkerPath) => Refused<{
    readonly contents: ReadonlyArray<readonly [name: string, content: Uint8Array]>
    readonly created_at: number
  }>
  readonly getSampler: (id: string) => Refused<Sampling.GetSamplerResponse>
  readonly usage: (window: typeof Billing.UsageParams.Type) => Refused<Billing.UsageResponse>
  readonly auditLog: (params: typeof Audit.Params.Type) => Refused<Audit.AuditLogResponse>
  readonly storageUsage: Effect.Effect<Billing.StorageUsageResponse>
}

const dayMillis = 24 * 60 * 60 * 1000
// the oldest are forgotten
const maxCopied = 10_000
const longestWindow = 14 * dayMillis

// projects are names that clients give
const defaultProject = "default"

const at = (millis: number): DateTime.Utc => DateTime.unsafeMake(millis)

const pathOf = ({ kind, name, training_run_id }: CheckpointStore.Info): TinkerPath.TinkerPath => ({
  training_run_id,
  kind,
  name
})

const toCheckpoint = (info: CheckpointStore.Info): Checkpoint.Checkpoint => {
  const path = pathOf(info)
  return {
    checkpoint_id: TinkerPath.checkpointId(path),
    checkpoint_type: TinkerPath.checkpointType(path),
    time: at(info.created_at),
    tinker_path: TinkerPath.format(path),
    base_model: info.base_model,
    size_bytes: info.size_bytes,
    public: info.public ?? false,
    user_metadata: info.user_metadata,
    expires_at: info.expires_at === undefined ? undefined : at(info.expires_at)
  }
}

const sessionOf = (run: string): string | undefined => /^(.+):train:\d+$/.exec(run)?.[1]

const slice = <A>(items: ReadonlyArray<A>, { limit, offset = 0 }: Page, otherwise: number) => ({
  items: items.slice(offset, offset + (limit ?? otherwise)),
  cursor: { offset, limit: limit ?? otherwise, total_count: items.length }
})

const includesAll = (
  wanted: { readonly [key: string]: string },
  given: { readonly [key: string]: string } | undefined
): boolean => Object.entries(wanted).every(([key, value]) => given?.[key] === value)

type Scope = Pagination.AccessScope | undefined

/** What a listing shows: the caller's own, or with them what is published. */
const isListed = (
  user: currentUser.User,
  scope: Scope,
  owner: string | undefined,
  isPublic: boolean | undefined
): boolean => currentUser.owns(user, owner) || (scope === "accessible" && isPublic === true)

const isWanted = (
  user: currentUser.User,
  searched: Pagination.SearchOwner,
  owner: string | undefined,
  isPublic: boolean | undefined
): boolean =>
  isListed(user, searched.type === "own" ? "owned" : "accessible", owner, isPublic) &&
  (searched.type !== "user" || searched.owner_urns.includes(currentUser.ownerName(owner)))

/** Newest first; of the same moment, by name backwards. */
const newestFirst = <A>(items: ReadonlyArray<A>, key: (item: A) => readonly [number, string]): ReadonlyArray<A> =>
  items.slice().sort((a, b) => {
    const [timeA, nameA] = key(a)
    const [timeB, nameB] = key(b)
    return timeB - timeA || (nameA < nameB ? 1 : nameA > nameB ? -1 : 0)
  })

/** What comes after a cursor in the order of `newestFirst`. */
const after = <A>(
  items: ReadonlyArray<A>,
  key: (item: A) => readonly [number, string],
  cursor: { readonly time: string; readonly name: string } | undefined
): Refused<ReadonlyArray<A>> => {
  if (cursor === undefined) return Effect.succeed(items)
  const time = DateTime.make(cursor.time)
  if (Option.isNone(time)) return responses.badRequest(`cursor: ${JSON.stringify(cursor.time)} is not a time`)
  const { epochMillis } = time.value
  return Effect.succeed(
    items.filter((item) => {
      const [millis, name] = key(item)
      return millis < epochMillis || (millis === epochMillis && name < cursor.name)
    })
  )
}

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

/** @internal */
export const make = (
  environment: Environment,
  parts: { readonly sessions: sessions.Sessions; readonly models: models.Models; readonly samplers: samplers.Samplers }
): Catalog => {
  const { auditLog, engine, store, usageLog } = environment
  // a store that fails is the service's fault
  const stored = Effect.orDie(store.list)

  /** Runs by id: models of this service's life, and those that checkpoints tell of. */
  const runsOf = Effect.fnUntraced(function* (scope: Scope) {
    const user = yield* currentUser.CurrentUser
    const infos = (yield* stored).filter((info) => isListed(user, scope, info.owner, info.public))
    const byRun = new Map<string, Array<CheckpointStore.Info>>()
    for (const info of infos) {
      const list = byRun.get(info.training_run_id)
      if (list === undefined) byRun.set(info.training_run_id, [info])
      else list.push(info)
    }
    const out = new Map<string, TrainingRun.TrainingRun>()
    const add = (id: string, record: models.ModelRecord | undefined, list: ReadonlyArray<CheckpointStore.Info>) => {
      const newest = (kind: TinkerPath.Kind) => {
        const found = list.find((info) => info.kind === kind)
        return found === undefined ? undefined : toCheckpoint(found)
      }
      out.set(id, {
        training_run_id: id,
        base_model: record?.base.model_name ?? list[0]!.base_model,
        model_owner: currentUser.ownerName(record?.session.record.owner ?? list[0]?.owner),
        is_lora: true,
        corrupted: record?.state._tag === "Failed",
        lora_rank: (record?.lora_config ?? list[0]!.lora_config).rank,
        last_request_time: at(record?.lastRequest ?? list[0]!.created_at),
        last_checkpoint: newest("weights"),
        last_sampler_checkpoint: newest("sampler_weights"),
        user_metadata: record?.user_metadata
      })
    }
    for (const record of parts.models.all()) {
      const list = byRun.get(record.id) ?? []
      if (list.length > 0 || currentUser.owns(user, record.session.record.owner)) add(record.id, record, list)
    }
    for (const [id, list] of byRun) if (!out.has(id)) add(id, undefined, list)
    return out
  })

  /** Sessions of this service's life, and those that checkpoints tell of. */
  const allSessions = Effect.gen(function* () {
    const user = yield* currentUser.CurrentUser
    const infos = (yield* stored).filter((info) => currentUser.owns(user, info.owner))
    const byId = new Map<string, SessionSearch.SessionSummary & { readonly status: sessions.Status | undefined }>()
    const sums = new Map<string, { count: number; bytes: number; oldest: number; owner: string | undefined }>()
    for (const info of infos) {
      const id = sessionOf(info.training_run_id)
      if (id === undefined) continue
      const before = sums.get(id) ?? { count: 0, bytes: 0, oldest: Infinity, owner: info.owner }
      sums.set(id, {
        count: before.count + 1,
        bytes: before.bytes + info.size_bytes,
        oldest: Math.min(before.oldest, info.created_at),
        owner: before.owner
      })
    }
    const add = (id: string, memory: sessions.SessionRecord | undefined) => {
      const sum = sums.get(id)
      byId.set(id, {
        session_id: id,
        created_at: at(memory?.created_at ?? sum!.oldest),
        owner: currentUser.ownerName(memory === undefined ? sum?.owner : memory.owner),
        project_id: memory?.project_id ?? defaultProject,
        status: memory?.status,
        checkpoints_count: sum?.count ?? 0,
        display_name: memory?.display_name,
        user_metadata: memory?.user_metadata,
        checkpoint_storage_bytes: sum?.bytes ?? 0
      })
    }
    for (const memory of parts.sessions.records()) if (currentUser.owns(user, memory.owner)) add(memory.id, memory)
    for (const id of sums.keys()) if (!byId.has(id)) add(id, undefined)
    return newestFirst(Array.from(byId.values()), sessionKey)
  })

  const sessionKey = (summary: SessionSearch.SessionSummary) =>
    [summary.created_at.epochMillis, summary.session_id] as const

  const searchSessions: Catalog["searchSessions"] = Effect.fnUntraced(function* (request) {
    const { cursor, display_name, limit, project_ids, session_id, statuses, user_metadata } = request
    const named = session_id === undefined && display_name === undefined
    const wanted = words(display_name ?? "")
    const { owner } = request
    const matching = (yield* allSessions).filter((summary) => {
      const name = words(summary.display_name ?? "")
      return (
        (named ||
          summary.session_id === session_id ||
          (wanted.length > 0 && wanted.every((word) => name.some((own) => own.startsWith(word))))) &&
        (project_ids === undefined || project_ids.includes(summary.project_id)) &&
        includesAll(user_metadata, summary.user_metadata) &&
        matchesStatus(summary.status, statuses) &&
        (owner.type !== "user" || owner.owner_urns.includes(summary.owner))
      )
    })
    const start = cursor && { time: cursor.last_created_at, name: cursor.last_session_id }
    const rest = yield* after(matching, sessionKey, start)
    const page = rest.slice(0, limit)
    const last = page.at(-1)
    return {
      sessions: page,
      next_cursor:
        last !== undefined && rest.length > page.length
          ? { last_created_at: DateTime.formatIso(last.created_at), last_session_id: last.session_id }
          : undefined
    }
  })

  const checkpointKey = (info: CheckpointStore.Info) => [info.created_at, TinkerPath.format(pathOf(info))] as const

  const searchCheckpoints: Catalog["searchCheckpoints"] = Effect.fnUntraced(function* (request) {
    const { base_models, checkpoint_type, cursor, limit, project_ids, user_metadata } = request
    const user = yield* currentUser.CurrentUser
    const projectOf = (info: CheckpointStore.Info) =>
      parts.sessions.getRecord(sessionOf(info.training_run_id) ?? "")?.project_id ?? defaultProject
    const matching = newestFirst(yield* stored, checkpointKey).filter(
      (info) =>
        (checkpoint_type === undefined || TinkerPath.checkpointType(pathOf(info)) === checkpoint_type) &&
        (base_models === undefined || base_models.includes(info.base_model)) &&
        (project_ids === undefined || project_ids.includes(projectOf(info))) &&
        includesAll(user_metadata, info.user_metadata) &&
        isWanted(user, request.owner, info.owner, info.public)
    )
    const start = cursor && { time: cursor.last_created_at, name: cursor.last_checkpoint_uuid }
    const rest = yield* after(matching, checkpointKey, start)
    const page = rest.slice(0, limit)
    const last = page.at(-1)
    return {
      checkpoints: page.map(toCheckpoint),
      next_cursor:
        last !== undefined && rest.length > page.length
          ? {
              last_created_at: DateTime.formatIso(at(last.created_at)),
              last_checkpoint_uuid: TinkerPath.format(pathOf(last))
            }
          : undefined
    }
  })

  const noSession = (id: string) => responses.notFound(`no session ${id}`)

  const setTtl: Catalog["setTtl"] = Effect.fnUntraced(function* (path, seconds) {
    if (seconds !== null && seconds <= 0) {
      return yield* responses.badRequest(`ttl_seconds is ${seconds}, which is not above 0`)
    }
    const now = yield* Clock.currentTimeMillis
    const expires_at = seconds === null ? undefined : now + seconds * 1000
    const { owner } = yield* checkpoints.findOwned(store, path)
    yield* checkpoints.orNotFound(store.update(path, { expires_at }))
    yield* auditLog.record(owner, "checkpoint_ttl_changed", path, { ttl_seconds: seconds })
  })

  /** A run in a project, of no client's session. */
  const runIn = (project: string | undefined, what: string) =>
    Effect.map(parts.sessions.createPlaceholder(project, what), ({ id }) => `${id}:train:0`)

  const checkUpload: Catalog["checkUpload"] = ({ base_model, lora_config }) => {
    const { train_attn, train_mlp, train_unembed } = lora_config
    if (findBaseModel(engine, base_model) === undefined) {
      return responses.badRequest(`there is no base model ${base_model}; on offer: ${onOffer(engine)}`)
    }
    return train_attn || train_mlp || train_unembed
      ? // a model of that form knows how large its adapters are
        engine.createModel({ base_model, lora_config }).pipe(
          Effect.flatMap(({ adapter }) => adapter),
          Effect.map((adapter) => files.sizeOf(adapter, undefined)),
          Effect.scoped,
          Effect.catchAll((error): Refused<never> =>
            error.category === "user" ? responses.badRequest(error.reason) : Effect.die(error)
          )
        )
      : responses.badRequest("lora_config trains nothing: set train_attn, train_mlp or train_unembed")
  }

  const storeUpload: Catalog["storeUpload"] = Effect.fnUntraced(function* (request, contents) {
    const { base_model, destination_project_id, lora_config } = request
    const adapter = yield* Either.mapLeft(files.fromPeft({ base_model, lora_config }, contents), responses.badRequest)
    // a model of that form says whether all of it is there
    yield* engine.createModel({ base_model, lora_config }).pipe(
      Effect.tap((model) =>
        Effect.flatMap(model.adapter, (own): Effect.Effect<void, responses.OperationRejection | Engine.EngineError> => {
          const problem = files.shapeProblem(adapter, own)
          return problem === undefined
            ? model.load(adapter, undefined)
            : responses.badRequest(`${files.adapterFile}: ${problem}`)
        })
      ),
      Effect.scoped,
      Effect.catchTag("EngineError", (error): Refused<never> =>
        error.category === "user" ? responses.badRequest(`${files.adapterFile}: ${error.reason}`) : Effect.die(error)
      )
    )
    const { id: owner } = yield* currentUser.CurrentUser
    const run = yield* runIn(destination_project_id, "weights that were uploaded")
    const path = { training_run_id: run, kind: "sampler_weights", name: "uploaded" } as const
    yield* Effect.orDie(store.save({ path, owner, adapter }))
    yield* auditLog.record(owner, "checkpoint_created", path)
    return TinkerPath.format(path)
  })

  // runs of copies that may be asked for again
  const copied = new Map<string, string>()

  const copyWeights: Catalog["copyWeights"] = Effect.fnUntraced(function* (request, key) {
    const { destination_project_id, model_seq_id, session_id, source_path, ttl_seconds } = request
    const source = yield* checkpoints.parsePath(source_path)
    const inSession =
      session_id !== undefined && model_seq_id !== undefined ? `${session_id}:train:${model_seq_id}` : undefined
    if (inSession !== undefined) {
      yield* Effect.catchTag(parts.sessions.find(session_id!), "GoneResponse", ({ detail }) =>
        responses.notFound(detail)
      )
      if (parts.models.all().some(({ id }) => id === inSession)) {
        return yield* responses.conflict(`model_seq_id ${model_seq_id} was used for a model`)
      }
    } else if (destination_project_id === undefined) {
      return yield* responses.badRequest(
        "give destination_project_id, or session_id and model_seq_id, so that the copy has a place"
      )
    }
    yield* checkpoints.findReadable(store, source)
    const { adapter, info, optimizer } = yield* checkpoints.orNotFound(store.load(source))
    const { id: owner } = yield* currentUser.CurrentUser
    const attempt = key === undefined ? undefined : JSON.stringify([owner, key, source_path, destination_project_id])
    const before = attempt === undefined ? undefined : copied.get(attempt)
    const run = inSession ?? before ?? (yield* runIn(destination_project_id, "a copy of a checkpoint"))
    if (attempt !== undefined && inSession === undefined) copied.set(attempt, run)
    if (copied.size > maxCopied) copied.delete(copied.keys().next().value!)
    const path = { ...source, training_run_id: run }
    const { user_metadata } = info
    return yield* store
      .save({ path, owner, adapter, optimizer, ttl_seconds, user_metadata, overwrite: true })
      .pipe(
        Effect.orDie,
        Effect.zipRight(auditLog.record(owner, "checkpoint_copied", path, { source_path })),
        Effect.as({ tinker_path: TinkerPath.format(path) })
      )
  })

  return {
    listSessions: (page) =>
      Effect.map(allSessions, (all) => ({
        sessions: slice(all, page, 20).items.map(({ session_id }) => session_id)
      })),
    searchSessions,
    getSession: Effect.fnUntraced(function* (id) {
      const user = yield* currentUser.CurrentUser
      const known = yield* runsOf("owned")
      const recalled = parts.sessions.getRecord(id)
      const memory = recalled !== undefined && currentUser.owns(user, recalled.owner) ? recalled : undefined
      const training_run_ids = Array.from(known.keys()).filter((run) => sessionOf(run) === id)
      if (memory === undefined && training_run_ids.length === 0) return yield* noSession(id)
      return {
        training_run_ids,
        sampler_ids: memory === undefined ? [] : parts.samplers.idsOf(id),
        user_metadata: memory?.user_metadata,
        display_name: memory?.display_name
      }
    }),
    trace: (id) =>
      Effect.flatMap(currentUser.CurrentUser, (user): Refused<traces.Trace> => {
        const memory = parts.sessions.getRecord(id)
        return memory === undefined || !currentUser.owns(user, memory.owner)
          ? noSession(id)
          : Effect.succeed(memory.trace)
      }),
    assignProject: (id, project) =>
      Effect.flatMap(currentUser.CurrentUser, (user): Refused<void> => {
        const memory = parts.sessions.getRecord(id)
        if (memory === undefined || !currentUser.owns(user, memory.owner)) return noSession(id)
        if (memory.project_id !== undefined && memory.project_id !== project) {
          return responses.conflict(`session ${id} is in project ${memory.project_id}, and stays there`)
        }
        memory.project_id = project
        return Effect.void
      }),
    listTrainingRuns: ({ access_scope, project_id, ...page }) =>
      Effect.map(runsOf(access_scope), (known) => {
        const all = newestFirst(Array.from(known.values()), (run) => [
          run.last_request_time.epochMillis,
          run.training_run_id
        ]).filter(
          ({ training_run_id }) =>
            project_id === undefined ||
            (parts.sessions.getRecord(sessionOf(training_run_id) ?? "")?.project_id ?? defaultProject) === project_id
        )
        const { cursor, items } = slice(all, page, 20)
        return { training_runs: items, cursor }
      }),
    getTrainingRun: (id, scope) =>
      Effect.flatMap(runsOf(scope), (known) => {
        const run = known.get(id)
        return run === undefined ? responses.notFound(`there is no training run ${id}`) : Effect.succeed(run)
      }),
    listCheckpoints: (run) =>
      Effect.flatMap(Effect.all([stored, currentUser.CurrentUser]), ([infos, user]) => {
        // what is published may be listed by those who know the run
        const own = infos.filter(
          (info) => info.training_run_id === run && isListed(user, "accessible", info.owner, info.public)
        )
        const known = parts.models
          .all()
          .some(({ id, session }) => id === run && currentUser.owns(user, session.record.owner))
        return own.length === 0 && !known
          ? responses.notFound(`there is no training run ${run}`)
          : Effect.succeed({ checkpoints: own.map(toCheckpoint) })
      }),
    listUserCheckpoints: (page) =>
      Effect.map(Effect.all([stored, currentUser.CurrentUser]), ([infos, user]) => {
        const own = infos.filter(({ owner }) => currentUser.owns(user, owner))
        const { cursor, items } = slice(own, page, 100)
        return { checkpoints: items.map(toCheckpoint), cursor }
      }),
    searchCheckpoints,
    deleteCheckpoint: Effect.fnUntraced(function* (path) {
      const { owner } = yield* checkpoints.findOwned(store, path)
      yield* checkpoints.orNotFound(store.remove(path))
      // the name is free again
      const record = parts.models.all().find(({ id }) => id === path.training_run_id)
      record?.names.delete(TinkerPath.checkpointId(path))
      yield* auditLog.record(owner, "checkpoint_deleted", path)
    }),
    setPublic: Effect.fnUntraced(function* (path, isPublic) {
      const info = yield* checkpoints.findOwned(store, path)
      if ((info.public ?? false) === isPublic) {
        return yield* responses.conflict(
          `${TinkerPath.format(path)} is ${isPublic ? "published already" : "not published"}`
        )
      }
      yield* checkpoints.orNotFound(store.update(path, { public: isPublic }))
      yield* auditLog.record(info.owner, isPublic ? "checkpoint_published" : "checkpoint_unpublished", path)
    }),
    setTtl,
    copyWeights,
    checkUpload,
    storeUpload,
    weightsInfo: (path) =>
      Effect.map(
        Effect.flatMap(checkpoints.parsePath(path), (parsed) => checkpoints.findReadable(store, parsed)),
        ({ base_model, lora_config }) => ({
          base_model,
          optimizer_config: { type: "adamw" },
          is_lora: true,
          lora_rank: lora_config.rank,
          train_unembed: lora_config.train_unembed,
          train_mlp: lora_config.train_mlp,
          train_attn: lora_config.train_attn
        })
      ),
    files: (path) =>
      Effect.map(checkpoints.orNotFound(store.load(path)), ({ adapter, info }) => ({
        contents: files.encode(adapter, undefined),
        created_at: info.created_at
      })),
    getSampler: (id) =>
      Effect.suspend(() => {
        const missing = () => responses.notFound(`there is no sampler ${id}`)
        const described = parts.samplers.describe(id)
        if (described === undefined) return missing()
        const { owner, ...found } = described
        return currentUser.authorize<Sampling.GetSamplerResponse, responses.OperationRejection>(
          owner,
          () => Effect.succeed(found),
          missing
        )
      }),
    usage: Effect.fnUntraced(function* ({ ending_before, starting_on }) {
      const [from, to] = [starting_on.epochMillis, ending_before.epochMillis]
      if (from >= to || to - from > longestWindow) {
        return yield* responses.badRequest("starting_on, ending_before: give a window of 14 days at most")
      }
      const events = yield* usageLog.events(from, to)
      const ids = new Set(events.flatMap(({ session_id }) => session_id ?? []))
      return {
        data: events.map((event) => ({
          ...event,
          project_id: parts.sessions.getRecord(event.session_id ?? "")?.project_id ?? defaultProject
        })),
        sessions: Object.fromEntries(
          Array.from(ids, (id) => [id, { user_metadata: parts.sessions.getRecord(id)?.user_metadata }])
        )
      }
    }),
    auditLog: Effect.fnUntraced(function* ({ day, event_type = "all" }) {
      const now = yield* Clock.currentTimeMillis
      const start = day === undefined ? now - (now % dayMillis) : Date.parse(`${day}T00:00:00Z`)
      if (Number.isNaN(start)) return yield* responses.badRequest(`day: ${day} is no day of the calendar`)
      const isShown = event_type === "all" || event_type === "checkpoints"
      return { entries: isShown ? yield* auditLog.entries(start, start + dayMillis) : [] }
    }),
    storageUsage: Effect.map(Effect.all([stored, currentUser.CurrentUser]), ([all, user]) => {
      const infos = all.filter(({ owner }) => currentUser.owns(user, owner))
      const size_bytes = infos.reduce((sum, info) => sum + info.size_bytes, 0)
      return {
        data:
          infos.length === 0 ? [] : [{ checkpoint_count: infos.length, size_bytes, size_gigabytes: size_bytes / 1e9 }]
      }
    })
  }
}
