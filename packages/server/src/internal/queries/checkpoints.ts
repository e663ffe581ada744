/** Lists, searches and describes checkpoints, and reads their files. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as access from "../checkpoints/access.ts"
import * as adapterFiles from "../checkpoints/adapterFiles.ts"
import * as responses from "../util/responses.ts"
import * as paging from "./paging.ts"
import * as projects from "./projects.ts"
import { listInfos, type Query, type ServiceState } from "./serviceState.ts"
import * as visibility from "./visibility.ts"

const pathOf = ({ kind, name, training_run_id }: CheckpointStore.Info): TinkerPath.TinkerPath => ({
  training_run_id,
  kind,
  name
})

/** A checkpoint as responses describe it. @internal */
export const toCheckpoint = (info: CheckpointStore.Info): Checkpoint.Checkpoint => {
  const path = pathOf(info)
  return {
    checkpoint_id: TinkerPath.checkpointId(path),
    checkpoint_type: TinkerPath.checkpointType(path),
    time: DateTime.unsafeMake(info.created_at),
    tinker_path: TinkerPath.format(path),
    base_model: info.base_model,
    size_bytes: info.size_bytes,
    public: info.public ?? false,
    user_metadata: info.user_metadata,
    expires_at: info.expires_at === undefined ? undefined : DateTime.unsafeMake(info.expires_at)
  }
}

/** Checkpoints of a training run. Published ones are listed for everyone who knows the id of the run. @internal */
export const listCheckpoints = (state: ServiceState, run: string): Query<Checkpoint.CheckpointsListResponse> =>
  Effect.gen(function* () {
    const infos = yield* listInfos(state)
    const user = yield* currentUser.CurrentUser
    const listed = infos.filter(
      (info) => info.training_run_id === run && visibility.isListed(user, "accessible", info.owner, info.public)
    )
    const row = yield* Effect.orDie(state.records.runs.get({ id: run }))
    const isOwnModel = row !== undefined && currentUser.owns(user, row.owner)
    if (listed.length === 0 && !isOwnModel) return yield* responses.notFound(`there is no training run ${run}`)
    return { checkpoints: listed.map(toCheckpoint) }
  })

/** All checkpoints of the current user. @internal */
export const listUserCheckpoints = (
  state: ServiceState,
  page: paging.Page
): Effect.Effect<Checkpoint.CheckpointsListResponse> =>
  Effect.map(Effect.all([listInfos(state), currentUser.CurrentUser]), ([infos, user]) => {
    const own = infos.filter(({ owner }) => currentUser.owns(user, owner))
    const { cursor, items } = paging.pageAt(own, page, 100)
    return { checkpoints: items.map(toCheckpoint), cursor }
  })

const sortKey = (info: CheckpointStore.Info): paging.SortKey => [info.created_at, TinkerPath.format(pathOf(info))]

const matches = (
  sessions: projects.SessionRows,
  user: currentUser.User,
  request: Checkpoint.CheckpointSearchRequest,
  info: CheckpointStore.Info
): boolean => {
  const { base_models, checkpoint_type, owner, project_ids, user_metadata } = request
  return (
    (checkpoint_type === undefined || TinkerPath.checkpointType(pathOf(info)) === checkpoint_type) &&
    (base_models === undefined || base_models.includes(info.base_model)) &&
    (project_ids === undefined || project_ids.includes(projects.projectOfRun(sessions, info.training_run_id))) &&
    visibility.matchesMetadata(user_metadata, info.user_metadata) &&
    visibility.isSearched(user, owner, info.owner, info.public)
  )
}

/** @internal */
export const searchCheckpoints = Effect.fnUntraced(function* (
  state: ServiceState,
  request: Checkpoint.CheckpointSearchRequest
): Effect.fn.Return<Checkpoint.CheckpointSearchResponse, responses.OperationRejection> {
  const { cursor, limit } = request
  const user = yield* currentUser.CurrentUser
  const infos = yield* listInfos(state)
  const sessions = yield* projects.sessionRows(state)
  const matching = paging.newestFirst(infos, sortKey).filter((info) => matches(sessions, user, request, info))
  const start = cursor && { time: cursor.last_created_at, name: cursor.last_checkpoint_uuid }
  const { last, page } = paging.firstPage(yield* paging.afterCursor(matching, sortKey, start), limit)
  return {
    checkpoints: page.map(toCheckpoint),
    next_cursor: last && {
      last_created_at: DateTime.formatIso(DateTime.unsafeMake(last.created_at)),
      last_checkpoint_uuid: TinkerPath.format(pathOf(last))
    }
  }
})

/** The base model and LoRA configuration of a checkpoint. @internal */
export const weightsInfo = ({ store }: ServiceState, path: string): Query<Weights.WeightsInfoResponse> =>
  access.parsePath(path).pipe(
    Effect.flatMap((parsed) => access.findReadable(store, parsed)),
    Effect.map(({ base_model, lora_config }) => ({
      base_model,
      optimizer_config: { type: "adamw" },
      is_lora: true,
      lora_rank: lora_config.rank,
      train_unembed: lora_config.train_unembed,
      train_mlp: lora_config.train_mlp,
      train_attn: lora_config.train_attn
    }))
  )

/** The files of an adapter, as PEFT reads them. @internal */
export interface AdapterFiles {
  readonly contents: ReadonlyArray<readonly [name: string, content: Uint8Array]>
  /** milliseconds since the epoch */
  readonly created_at: number
}

/** Reads the files of any checkpoint: the caller has authorized the user. @internal */
export const readAdapterFiles = ({ store }: ServiceState, path: TinkerPath.TinkerPath): Query<AdapterFiles> =>
  Effect.map(access.orNotFound(store.load(path)), ({ adapter, info }) => ({
    contents: adapterFiles.encode(adapter, undefined),
    created_at: info.created_at
  }))
