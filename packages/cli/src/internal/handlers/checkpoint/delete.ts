/** Handler of `tinker checkpoint delete`. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { sizeOf } from "../../checkpoints/cells.ts"
import * as selection from "../../checkpoints/selection.ts"
import type { Global } from "../../definition/global.ts"
import { CliError } from "../../errors/cliError.ts"
import { describe } from "../../errors/describe.ts"
import { withRest } from "../../service/rest.ts"
import * as format from "../../terminal/format.ts"
import { clean } from "../../text/clean.ts"
import * as Io from "../../terminal/io.ts"
import * as output from "../../terminal/output.ts"
import * as progress from "../../terminal/progress.ts"

interface Options extends Global, selection.Options {
  readonly yes: boolean
}

interface Report {
  readonly deleted: number
  readonly failed: ReadonlyArray<{ readonly tinker_path: string; readonly error: string }>
  /** Replaces the summary where nothing was deleted. */
  readonly text?: string | undefined
}

/** The paths to delete, and the lines that describe them in the confirmation. */
interface Plan {
  readonly targets: ReadonlyArray<string>
  readonly lines: ReadonlyArray<string>
}

const planOfRun = (found: ReadonlyArray<Checkpoint.Checkpoint>, now: number): Plan => {
  const total = found.reduce((sum, { size_bytes = 0 }) => sum + size_bytes, 0)
  return {
    targets: found.map(({ tinker_path }) => tinker_path),
    lines: [
      ...found.map((one) => `  - ${one.tinker_path} (${sizeOf(one)}, created ${format.relative(one.time, now)})`),
      "",
      `Total size: ${format.size(total)}`
    ]
  }
}

/** Finds the checkpoints of a selection. Named paths are not looked up. */
const makePlan = (rest: RestClient.Service, selected: selection.Selection) =>
  Effect.gen(function* () {
    if ("targets" in selected) {
      return { targets: selected.targets, lines: selected.targets.map((path) => `  - ${path}`) }
    }
    const deletions = yield* Stream.runCollect(rest.deleteCheckpoints(selected, { dryRun: true }))
    const found = Array.from(deletions).flatMap(({ checkpoint }) => (checkpoint === undefined ? [] : [checkpoint]))
    return planOfRun(found, yield* Clock.currentTimeMillis)
  })

/** Asks for confirmation on standard error, and reads the reply from standard input. */
const confirm = ({ lines, targets: { length: count } }: Plan) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    yield* io.err(
      [
        `Will delete ${count} checkpoint(s):`,
        ...lines.map((line) => clean(line)),
        "WARNING: This action is permanent and cannot be undone.",
        `Are you sure you want to delete ${count} checkpoint(s)? [y/N]: `
      ].join("\n")
    )
    const answer = yield* io.readLine
    if (!io.inIsTerminal) yield* io.err("\n")
    if (answer === undefined) {
      return yield* new CliError({ title: "Nothing was deleted", details: "Give --yes if standard input is closed" })
    }
    return /^y(es)?$/i.test(answer.trim())
  })

const deleteAll = (rest: RestClient.Service, form: output.Format, targets: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let deleted = 0
    const failed: Array<Report["failed"][number]> = []
    const bar = yield* progress.make(form, "Deleting checkpoints", targets.length)
    yield* rest.deleteCheckpoints({ targets }, { concurrency: 32 }).pipe(
      Stream.runForEach((deletion) => {
        if (deletion._tag === "Failed") {
          failed.push({ tinker_path: deletion.tinker_path, error: describe(deletion.error) })
        } else deleted++
        return bar.update(deleted + failed.length)
      })
    )
    return { deleted, failed }
  }).pipe(Effect.scoped)

const summary = ({ deleted, failed }: Report): string =>
  [
    `Deleted ${deleted} checkpoint(s)`,
    ...(failed.length === 0 ? [] : [`Failed to delete ${failed.length} checkpoint(s):`]),
    ...failed.map(({ error, tinker_path }) => `  - ${tinker_path}: ${error}`),
    ""
  ].join("\n")

/** @internal */
export const deleteCheckpoints = (options: Options) =>
  Effect.gen(function* () {
    const selected = yield* selection.parse(options)
    const report: Report = yield* withRest(
      Effect.gen(function* () {
        const rest = yield* RestClient.RestClient
        const plan = yield* makePlan(rest, selected)
        if (plan.targets.length === 0 && "training_run_id" in selected) {
          const text = `No checkpoints found for run ${selected.training_run_id} matching filters\n`
          return { deleted: 0, failed: [], text }
        }
        if (!options.yes && !(yield* confirm(plan))) return { deleted: 0, failed: [], text: "Deletion cancelled.\n" }
        return yield* deleteAll(rest, options.format, plan.targets)
      })
    )
    yield* output.text(options.format, {
      json: { deleted_count: report.deleted, failed: report.failed },
      text: report.text ?? summary(report)
    })
  })
