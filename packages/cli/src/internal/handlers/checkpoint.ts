import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CliError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import { describe } from "../failure.ts"
import * as format from "../format.ts"
import * as Io from "../io.ts"
import * as output from "../output.ts"
import * as pages from "../pages.ts"
import * as progress from "../progress.ts"
import * as pythonJson from "../pythonJson.ts"
import { withRest } from "../rest.ts"

const pathForm =
  "Checkpoint paths have the form tinker://<run id>/weights/<name>, or sampler_weights, or external_weights"

/** A path that can be one; what else is wrong with it the client says. @internal */
export const checkPath = (path: string): Effect.Effect<TinkerPath.TinkerPath, CliError> =>
  Effect.mapError(
    TinkerPath.parse(path),
    () => new CliError({ title: `Invalid checkpoint path: ${path}`, details: pathForm })
  )

const expires = (checkpoint: Checkpoint.Checkpoint, now: number) =>
  checkpoint.expires_at === undefined ? "Never" : format.relative(checkpoint.expires_at, now)

const sizeOf = (checkpoint: Checkpoint.Checkpoint) =>
  checkpoint.size_bytes === undefined ? "N/A" : format.size(checkpoint.size_bytes)

/** @internal */
export const list = (options: Global & { readonly limit: number; readonly runId: Option.Option<string> }) =>
  Effect.gen(function* () {
    const runId = Option.getOrUndefined(options.runId)
    const { items, total } = yield* withRest(
      Effect.gen(function* () {
        const rest = yield* RestClient.RestClient
        if (runId !== undefined) {
          const { checkpoints } = yield* rest.listCheckpoints(runId)
          return { items: checkpoints, total: checkpoints.length }
        }
        return yield* pages.collect({
          format: options.format,
          what: "checkpoints",
          limit: options.limit,
          pageSize: 1000,
          page: (limit, offset) =>
            Effect.map(rest.listUserCheckpoints({ limit, offset }), ({ checkpoints, cursor }) => ({
              items: checkpoints,
              total: cursor?.total_count ?? offset + checkpoints.length
            }))
        })
      })
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
        rows: items.map((checkpoint) => [
          checkpoint.checkpoint_id,
          checkpoint.checkpoint_type,
          sizeOf(checkpoint),
          format.bool(checkpoint.public),
          format.relative(checkpoint.time, now),
          expires(checkpoint, now),
          checkpoint.tinker_path
        ])
      }
    })
  })

interface OnPath extends Global {
  readonly path: string
}

/** @internal */
export const info = (options: OnPath) =>
  Effect.gen(function* () {
    const parsed = yield* checkPath(options.path)
    const [checkpoint, run] = yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) =>
        Effect.all([rest.getCheckpoint(parsed), rest.getTrainingRun(parsed.training_run_id)], {
          concurrency: "unbounded"
        })
      )
    )
    const now = yield* Clock.currentTimeMillis
    yield* output.print(options.format, {
      json: { ...pythonJson.checkpoint(checkpoint), is_lora: run.is_lora, lora_rank: run.lora_rank ?? null },
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

/** The Python command writes nothing; who asks for JSON gets a document. */
const done = (format: output.Format, json: unknown) => (format === "json" ? output.json(json) : Effect.void)

/** @internal */
export const setPublic = (isPublic: boolean) => (options: OnPath) =>
  Effect.gen(function* () {
    const parsed = yield* checkPath(options.path)
    yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) =>
        isPublic ? rest.publishCheckpoint(parsed) : rest.unpublishCheckpoint(parsed)
      )
    )
    yield* done(options.format, { tinker_path: options.path, public: isPublic })
  })

/** @internal */
export const setTtl = (options: OnPath & { readonly ttl: Option.Option<number>; readonly remove: boolean }) =>
  Effect.gen(function* () {
    const parsed = yield* checkPath(options.path)
    const details = "Use --ttl to set an expiration or --remove to clear it"
    if (Option.isNone(options.ttl) && !options.remove) {
      return yield* new CliError({ title: "Must specify either --ttl <seconds> or --remove", details })
    }
    if (Option.isSome(options.ttl) && options.remove) {
      return yield* new CliError({ title: "Cannot specify both --ttl and --remove", details })
    }
    const ttl_seconds = Option.getOrNull(options.ttl)
    yield* withRest(Effect.flatMap(RestClient.RestClient, (rest) => rest.setCheckpointTtl(parsed, ttl_seconds)))
    yield* done(options.format, { tinker_path: options.path, ttl_seconds })
  })

const types: { readonly [name: string]: "training" | "sampler" | "external" } = {
  weights: "training",
  sampler_weights: "sampler",
  external_weights: "external",
  training: "training",
  sampler: "sampler",
  external: "external"
}

const date = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/

/** A moment in ISO 8601; UTC where no zone is given. */
const moment = (option: string, value: Option.Option<string>) =>
  Option.match(value, {
    onNone: () => Effect.succeed(undefined),
    onSome: (text) => {
      const [, zone] = date.exec(text.trim()) ?? [null]
      const iso = text.trim().replace(" ", "T")
      const parsed = DateTime.make(zone === undefined && iso.includes("T") ? `${iso}Z` : iso)
      return zone === null || Option.isNone(parsed)
        ? new CliError({
            title: `Invalid date: ${text}`,
            details: `Give ${option} in ISO 8601: 2024-01-01, 2024-01-01T12:00:00Z`
          })
        : Effect.succeed(DateTime.toUtc(parsed.value))
    }
  })

const confirm = (lines: ReadonlyArray<string>, count: number) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    yield* io.err(
      [
        `Will delete ${count} checkpoint(s):`,
        ...lines,
        "WARNING: This action is permanent and cannot be undone.",
        `Are you sure you want to delete ${count} checkpoint(s)? [y/N]: `
      ].join("\n")
    )
    const answer = yield* io.readLine
    if (!io.inIsTerminal) yield* io.err("\n")
    if (answer === undefined) {
      return yield* new CliError({ title: "Nothing was deleted", details: "Give --yes where nobody can answer" })
    }
    return /^y(es)?$/i.test(answer.trim())
  })

/** @internal */
export const remove = (
  options: Global & {
    readonly paths: ReadonlyArray<string>
    readonly runId: Option.Option<string>
    readonly type: Option.Option<string>
    readonly before: Option.Option<string>
    readonly after: Option.Option<string>
    readonly yes: boolean
  }
) =>
  Effect.gen(function* () {
    const runId = Option.getOrUndefined(options.runId)
    const filtered = [options.type, options.before, options.after].some(Option.isSome)
    if (options.paths.length === 0 && runId === undefined) {
      return yield* new CliError({
        title: "Must specify checkpoint paths or --run-id",
        details: "For example: tinker checkpoint delete tinker://run-id/weights/0001"
      })
    }
    if (options.paths.length > 0 && runId !== undefined) {
      return yield* new CliError({
        title: "Cannot specify both checkpoint paths and --run-id",
        details: "Use either explicit paths or --run-id with optional filters"
      })
    }
    if (filtered && runId === undefined) {
      return yield* new CliError({ title: "--type, --before, and --after require --run-id" })
    }
    yield* Effect.forEach(options.paths, checkPath)
    const before = yield* moment("--before", options.before)
    const after = yield* moment("--after", options.after)
    const type = Option.getOrUndefined(options.type)
    if (type !== undefined && !Object.hasOwn(types, type)) {
      return yield* new CliError({
        title: `Invalid checkpoint type: ${type}`,
        details: "Valid types: weights, sampler_weights, external_weights"
      })
    }

    const result = yield* withRest(
      Effect.gen(function* () {
        const rest = yield* RestClient.RestClient
        let targets = options.paths
        let lines = options.paths.map((path) => `  - ${path}`)
        if (runId !== undefined) {
          const selection = {
            training_run_id: runId,
            checkpoint_type: type === undefined ? undefined : types[type],
            before,
            after
          }
          const selected = yield* Stream.runCollect(rest.deleteCheckpoints(selection, { dryRun: true }))
          const found = Array.from(selected).flatMap(({ checkpoint }) => (checkpoint === undefined ? [] : [checkpoint]))
          if (found.length === 0) {
            yield* output.text(options.format, {
              json: { deleted_count: 0, failed: [] },
              text: `No checkpoints found for run ${runId} matching filters\n`
            })
            return undefined
          }
          const now = yield* Clock.currentTimeMillis
          targets = found.map(({ tinker_path }) => tinker_path)
          lines = found.map(
            (one) => `  - ${one.tinker_path} (${sizeOf(one)}, created ${format.relative(one.time, now)})`
          )
          const total = found.reduce((sum, { size_bytes = 0 }) => sum + size_bytes, 0)
          lines.push("", `Total size: ${format.size(total)}`)
        }
        if (!options.yes && !(yield* confirm(lines, targets.length))) {
          yield* output.text(options.format, {
            json: { deleted_count: 0, failed: [] },
            text: "Deletion cancelled.\n"
          })
          return undefined
        }
        let deleted = 0
        const failed: Array<{ readonly tinker_path: string; readonly error: string }> = []
        const bar = yield* progress.make(options.format, "Deleting checkpoints", targets.length)
        yield* rest.deleteCheckpoints({ targets }, { concurrency: 32 }).pipe(
          Stream.runForEach((deletion) => {
            if (deletion._tag === "Failed") {
              failed.push({ tinker_path: deletion.tinker_path, error: describe(deletion.error) })
            } else deleted++
            return bar.at(deleted + failed.length)
          })
        )
        return { deleted, failed }
      }).pipe(Effect.scoped)
    )
    if (result === undefined) return
    const { deleted, failed } = result
    yield* output.text(options.format, {
      json: { deleted_count: deleted, failed },
      text: [
        `Deleted ${deleted} checkpoint(s)`,
        ...(failed.length === 0 ? [] : [`Failed to delete ${failed.length} checkpoint(s):`]),
        ...failed.map(({ error, tinker_path }) => `  - ${tinker_path}: ${error}`),
        ""
      ].join("\n")
    })
  })
