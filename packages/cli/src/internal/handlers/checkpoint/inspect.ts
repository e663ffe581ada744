/** Handlers of `tinker checkpoint list` and `info`. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as Pagination from "@effect-tinker/api/Pagination"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { expires, sizeOf } from "../../checkpoints/cells.ts"
import { parsePath } from "../../checkpoints/path.ts"
import type { Global } from "../../definition/global.ts"
import * as pages from "../../service/pages.ts"
import { withRest, withRestOrLocal } from "../../service/rest.ts"
import * as format from "../../terminal/format.ts"
import * as output from "../../terminal/output.ts"
import * as pythonJson from "../../terminal/pythonJson.ts"

/** The checkpoints of one run. The service does not page them. */
const fetchOfRun = (runId: string) =>
  Effect.gen(function* () {
    const rest = yield* RestClient.RestClient
    const { checkpoints } = yield* rest.listCheckpoints(runId)
    return { items: checkpoints, total: checkpoints.length }
  })

/** The checkpoints of all runs, page by page. */
const fetchOfUser = (options: Global & { readonly limit: number }) =>
  Effect.flatMap(RestClient.RestClient, (rest) =>
    pages.collect({
      format: options.format,
      what: "checkpoints",
      limit: options.limit,
      pageSize: 1000,
      page: (limit, offset) =>
        Effect.map(rest.listUserCheckpoints({ limit, offset }), ({ checkpoints, cursor }) => ({
          items: checkpoints,
          leftOut: Pagination.leftOut(checkpoints).length,
          total: cursor?.total_count
        }))
    })
  )

const listRow = (checkpoint: Checkpoint.Checkpoint, now: number): ReadonlyArray<string> => [
  checkpoint.checkpoint_id,
  checkpoint.checkpoint_type,
  sizeOf(checkpoint),
  format.bool(checkpoint.public),
  format.relative(checkpoint.time, now),
  expires(checkpoint, now),
  checkpoint.tinker_path
]

/** @internal */
export const list = (
  options: Global & { readonly limit: number; readonly runId: Option.Option<string>; readonly checkpoints: string }
) =>
  Effect.gen(function* () {
    const runId = Option.getOrUndefined(options.runId)
    const { items, total } = yield* withRestOrLocal(
      runId === undefined ? fetchOfUser(options) : fetchOfRun(runId),
      options.checkpoints
    )
    const now = yield* Clock.currentTimeMillis
    const ofRun = runId === undefined ? "" : ` for run ${runId}`
    const title =
      items.length === 0
        ? `No checkpoints found${ofRun}`
        : pages.titleOf(`${items.length} checkpoint${items.length === 1 ? "" : "s"}${ofRun}`, items.length, total)
    yield* output.print(options.format, {
      json: { ...(runId === undefined ? {} : { run_id: runId }), checkpoints: items.map(pythonJson.checkpoint) },
      table: {
        title,
        columns: ["Checkpoint ID", "Type", "Size", "Public", "Created", "Expires", "Path"],
        rows: items.map((checkpoint) => listRow(checkpoint, now))
      }
    })
  })

/** @internal */
export const info = (options: Global & { readonly path: string }) =>
  Effect.gen(function* () {
    const parsed = yield* parsePath(options.path)
    const [checkpoint, run] = yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) =>
        Effect.all([rest.getCheckpoint(parsed), rest.getTrainingRun(parsed.training_run_id)], {
          concurrency: "unbounded"
        })
      )
    )
    const now = yield* Clock.currentTimeMillis
    yield* output.print(options.format, {
      json: { ...pythonJson.checkpoint(checkpoint), is_lora: run.is_lora ?? null, lora_rank: run.lora_rank ?? null },
      table: {
        title: `Checkpoint: ${checkpoint.checkpoint_id}`,
        columns: ["Property", "Value"],
        rows: [
          ["Checkpoint ID", checkpoint.checkpoint_id],
          ["Type", checkpoint.checkpoint_type],
          ["Tinker Path", checkpoint.tinker_path],
          ...(checkpoint.size_bytes === undefined ? [] : [["Size", sizeOf(checkpoint)]]),
          ["Public", format.bool(checkpoint.public)],
          ["Created", format.relative(checkpoint.time, now)],
          ["Expires", expires(checkpoint, now)],
          ["Training Run ID", parsed.training_run_id],
          ["LoRA", format.lora(run)]
        ]
      }
    })
  })
