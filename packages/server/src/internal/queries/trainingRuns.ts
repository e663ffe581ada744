/** Lists and describes training runs: models of this process, and those whose checkpoints are stored. */
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Store from "../../Store.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import { toCheckpoint } from "./checkpoints.ts"
import * as paging from "./paging.ts"
import * as projects from "./projects.ts"
import { listInfos, type Query, type ServiceState } from "./serviceState.ts"
import * as visibility from "./visibility.ts"

/** Checkpoints of one run, the newest first. */
type RunInfos = ReadonlyArray<CheckpointStore.Info>

const groupByRun = (infos: ReadonlyArray<CheckpointStore.Info>): Map<string, RunInfos> => {
  const groups = new Map<string, Array<CheckpointStore.Info>>()
  for (const info of infos) {
    const group = groups.get(info.training_run_id)
    if (group === undefined) groups.set(info.training_run_id, [info])
    else group.push(info)
  }
  return groups
}

const newestOfKind = (infos: RunInfos, kind: TinkerPath.Kind) => {
  const newest = infos.find((info) => info.kind === kind)
  return newest === undefined ? undefined : toCheckpoint(newest)
}

/** `row` is absent for a run that is known from its checkpoints alone. */
const toTrainingRun = (id: string, row: Store.RunRow | undefined, infos: RunInfos): TrainingRun.TrainingRun => ({
  training_run_id: id,
  base_model: row?.base_model ?? infos[0]!.base_model,
  model_owner: currentUser.ownerName(row?.owner ?? infos[0]?.owner),
  is_lora: true,
  corrupted: row?.state === "failed",
  lora_rank: (row?.lora_config ?? infos[0]!.lora_config).rank,
  last_request_time: DateTime.unsafeMake(row?.last_request ?? infos[0]!.created_at),
  last_checkpoint: newestOfKind(infos, "weights"),
  last_sampler_checkpoint: newestOfKind(infos, "sampler_weights"),
  user_metadata: row?.user_metadata
})

/** The record of a run, with the latest request that this process knows of. */
const withLastRequest = ({ models }: ServiceState, row: Store.RunRow): Store.RunRow => {
  const live = models.get(row.id)
  return live === undefined ? row : { ...row, last_request: live.lastRequest }
}

/** The training runs that the current user may see, by id. @internal */
export const visibleTrainingRuns = Effect.fnUntraced(function* (state: ServiceState, scope: visibility.AccessScope) {
  const user = yield* currentUser.CurrentUser
  const infos = yield* listInfos(state)
  const byRun = groupByRun(infos.filter((info) => visibility.isListed(user, scope, info.owner, info.public)))
  const runs = new Map<string, TrainingRun.TrainingRun>()
  for (const row of yield* Effect.orDie(state.records.runs.list())) {
    const group = byRun.get(row.id) ?? []
    if (group.length > 0 || currentUser.owns(user, row.owner)) {
      runs.set(row.id, toTrainingRun(row.id, withLastRequest(state, row), group))
    }
  }
  for (const [id, group] of byRun) if (!runs.has(id)) runs.set(id, toTrainingRun(id, undefined, group))
  return runs
})

/** A page of training runs, and the filters of the listing. @internal */
export type ListTrainingRuns = paging.Page & {
  readonly project_id?: string | undefined
  readonly access_scope?: visibility.AccessScope
}

/** Lists training runs, the latest used first. @internal */
export const listTrainingRuns = (
  state: ServiceState,
  { access_scope, project_id, ...page }: ListTrainingRuns
): Effect.Effect<TrainingRun.TrainingRunsResponse> =>
  Effect.map(
    Effect.all([visibleTrainingRuns(state, access_scope), projects.sessionRows(state)]),
    ([runs, sessions]) => {
      const listed = paging
        .newestFirst(Array.from(runs.values()), (run) => [
          run.last_request_time === undefined ? 0 : DateTime.toEpochMillis(run.last_request_time),
          run.training_run_id
        ])
        .filter(
          ({ training_run_id }) =>
            project_id === undefined || projects.projectOfRun(sessions, training_run_id) === project_id
        )
      const { cursor, items } = paging.pageAt(listed, page, 20)
      return { training_runs: items, cursor }
    }
  )

/** @internal */
export const getTrainingRun = (
  state: ServiceState,
  id: string,
  scope?: visibility.AccessScope
): Query<TrainingRun.TrainingRun> =>
  Effect.flatMap(visibleTrainingRuns(state, scope), (runs) => {
    const run = runs.get(id)
    return run === undefined ? responses.notFound(`there is no training run ${id}`) : Effect.succeed(run)
  })
