/** Handlers of `tinker run`. */
import * as Pagination from "@effect-tinker/api/Pagination"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { UsageError } from "../errors/cliError.ts"
import type { Global } from "../definition/global.ts"
import * as format from "../terminal/format.ts"
import * as output from "../terminal/output.ts"
import * as pages from "../service/pages.ts"
import * as pythonJson from "../terminal/pythonJson.ts"
import { withRest, withRestOrLocal } from "../service/rest.ts"
import * as columns from "../definition/runColumns.ts"

type Run = TrainingRun.TrainingRun

const cells: { readonly [name in columns.Name]: (run: Run, now: number) => string } = {
  id: (run) => run.training_run_id,
  model: (run) => run.base_model,
  owner: (run) => run.model_owner ?? "N/A",
  lora: (run) => (run.is_lora && run.lora_rank ? `Rank ${run.lora_rank}` : format.bool(run.is_lora)),
  updated: (run, now) => format.relative(run.last_request_time, now),
  status: (run) => (run.corrupted ? "Failed" : "OK"),
  checkpoint: (run) => run.last_checkpoint?.checkpoint_id ?? "None",
  checkpoint_time: (run, now) => format.relative(run.last_checkpoint?.time, now)
}

/** @internal */
export const list = (
  options: Global & {
    readonly limit: number
    readonly columns: Option.Option<string>
    readonly checkpoints: string
  }
) =>
  Effect.gen(function* () {
    const named: ReadonlyArray<string> = Option.match(options.columns, {
      onNone: (): ReadonlyArray<string> => columns.defaults,
      onSome: (text) => text.split(",").map((name) => name.trim())
    })
    const unknown = named.filter((name) => !columns.isName(name))
    if (unknown.length > 0) {
      return yield* new UsageError({
        reason: `Unknown column(s): ${unknown.join(", ")}. Available: ${columns.names.join(", ")}`
      })
    }
    const shown: ReadonlyArray<columns.Name> = named.filter(columns.isName)
    const { items, total } = yield* withRestOrLocal(
      Effect.flatMap(RestClient.RestClient, (rest) =>
        pages.collect({
          format: options.format,
          what: "training runs",
          limit: options.limit,
          pageSize: 100,
          page: (limit, offset) =>
            Effect.map(rest.listTrainingRuns({ limit, offset }), ({ cursor, training_runs }) => ({
              items: training_runs,
              leftOut: Pagination.leftOut(training_runs).length,
              total: cursor?.total_count
            }))
        })
      ),
      options.checkpoints
    )
    const now = yield* Clock.currentTimeMillis
    const counted =
      items.length === 0
        ? "No training runs found"
        : pages.titleOf(items.length === 1 ? "1 training run" : `${items.length} training runs`, items.length, total)
    yield* output.print(options.format, {
      json: { runs: items.map(pythonJson.trainingRun) },
      table: {
        title: counted,
        columns: shown.map((name) => columns.headers[name]),
        rows: items.map((run) => shown.map((name) => cells[name](run, now)))
      }
    })
  })

/** @internal */
export const info = (options: Global & { readonly runId: string }) =>
  Effect.gen(function* () {
    const run = yield* withRest(Effect.flatMap(RestClient.RestClient, (rest) => rest.getTrainingRun(options.runId)))
    const now = yield* Clock.currentTimeMillis
    const checkpoint = (name: string, found: Run["last_checkpoint"]) =>
      found === undefined
        ? []
        : [
            [name, found.checkpoint_id],
            ["  - Time", format.relative(found.time, now)],
            ["  - Path", found.tinker_path]
          ]
    const metadata = Object.entries(run.user_metadata ?? {})
    yield* output.print(options.format, {
      json: pythonJson.trainingRun(run),
      table: {
        title: `Training Run: ${run.training_run_id}`,
        columns: ["Property", "Value"],
        rows: [
          ["Run ID", run.training_run_id],
          ["Base Model", run.base_model],
          ["Owner", cells.owner(run, now)],
          ["LoRA", format.lora(run)],
          ["Last Update", format.relative(run.last_request_time, now)],
          ["Status", cells.status(run, now)],
          ...checkpoint("Last Training Checkpoint", run.last_checkpoint),
          ...checkpoint("Last Sampler Checkpoint", run.last_sampler_checkpoint),
          ...(metadata.length === 0 ? [] : [["Metadata", ""], ...metadata.map(([key, value]) => [`  - ${key}`, value])])
        ]
      }
    })
  })
