/**
 * `npm run recipes`: runs recipes in their short form on the embedded model, and prints a line for each, separated by tabs:
 * `recipe NAME BEFORE AFTER LINE passed|failed`. Those that take long in any form are skipped, and their line says why. Exits
 * with 1 if one fails. How long each took goes to the standard error.
 *
 *   -- --only sft      those of a group, or one by its name; several with commas between. None of them is skipped
 *   -- --full          at full length
 *   -- --seeds 3       with so many seeds, a line each
 *   -- --hosted        on the service of `TINKER_API_KEY` and `TINKER_BASE_URL`; its base model is that of `BaseModel.layerConfig`
 *   -- --reports DIR   where to write a page for each, `NAME/report.html`, or `NAME-SEED` with several seeds; `build/recipes` by default
 */
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as NodeReport from "@effect-tinker/cookbook/NodeReport"
import * as Timings from "@effect-tinker/cookbook/Timings"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Pool from "effect/Pool"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { agentOfAiSdk } from "./recipes/agent-ai-sdk.ts"
import { agentOfEffectAi } from "./recipes/agent-effect-ai.ts"
import { chat } from "./recipes/chat.ts"
import { distillOnPolicy } from "./recipes/distill-on-policy.ts"
import { distillPrompt } from "./recipes/distill-prompt.ts"
import { distillSelf } from "./recipes/distill-self.ts"
import { distillTopK } from "./recipes/distill-top-k.ts"
import { dpoRight } from "./recipes/dpo-right.ts"
import { dpoShorter } from "./recipes/dpo-shorter.ts"
import { nearBase } from "./recipes/near-base.ts"
import { pastTense } from "./recipes/past-tense.ts"
import type { Outcome, Recipe } from "./recipes/recipe.ts"
import { resume } from "./recipes/resume.ts"
import { copy } from "./recipes/rl-copy.ts"
import { length } from "./recipes/rl-length.ts"
import { rlPastTense } from "./recipes/rl-past-tense.ts"
import { reverse } from "./recipes/rl-reverse.ts"
import { useTools } from "./recipes/rl-tools.ts"

const recipes: ReadonlyArray<Recipe> = [
  chat,
  pastTense,
  resume,
  copy,
  length,
  rlPastTense,
  reverse,
  useTools,
  dpoRight,
  dpoShorter,
  distillOnPolicy,
  distillPrompt,
  distillSelf,
  distillTopK,
  nearBase,
  agentOfAiSdk,
  agentOfEffectAi
]

const data = fileURLToPath(new URL("../data/past-tense.jsonl", import.meta.url))

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    full: { type: "boolean", default: false },
    hosted: { type: "boolean", default: false },
    reports: { type: "string", default: "build/recipes" },
    seeds: { type: "string", default: "1" }
  }
})
const seeds = Number(values.seeds)

/** An embedded service computes on one thread: so many of them run recipes side by side. The hosted one runs one at a time. */
const services = values.hosted ? 1 : 2

/** A service; the embedded one has its checkpoints in a directory that is removed. */
const ServiceLive = Layer.unwrapScoped(
  Effect.map(
    Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "tinker-recipes-" })),
    (checkpoints) => (values.hosted ? Backend.layerHosted : Backend.layerEmbedded({ checkpoints }))
  )
)

const RecipeLive = Layer.merge(ServiceLive, Timings.layer)

const number = (value: number): string => String(Number(value.toFixed(4)))

const print = (name: string, { after, before, line, passed }: Outcome) =>
  Console.log(["recipe", name, number(before), number(after), line, passed ? "passed" : "failed"].join("\t"))

const printSkipped = ({ name, nightly }: Recipe) =>
  Console.log(["recipe", name, "-", "-", `only with --full: it ${nightly}`, "skipped"].join("\t"))

/** Keeps the rows of the last run of a recipe: others warm its model up. */
const keepLastRun =
  (rows: Array<Metrics.Row>): Metrics.Sink =>
  (row) =>
    Effect.sync(() => {
      if (row.step <= (rows.at(-1)?.step ?? -1)) rows.length = 0
      rows.push(row)
    })

/** Writes the page of a run of these rows. */
const writeReport = Effect.fnUntraced(function* (name: string, rows: ReadonlyArray<Metrics.Row>) {
  if (rows.length === 0) return
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.resolve(values.reports, name)
  yield* fs.makeDirectory(directory, { recursive: true })
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`)
  yield* fs.writeFileString(path.join(directory, "metrics.jsonl"), lines.join(""))
  yield* NodeReport.write(directory)
})

/** What a recipe itself prints is not for this list. */
const silent = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.console, (console) => Effect.withConsole(effect, { ...console, log: () => Effect.void }))

/** Runs a recipe, and writes its report. */
const runReported = (recipe: Recipe, seed: number) =>
  Effect.suspend(() => {
    const rows: Array<Metrics.Row> = []
    return recipe
      .run({ full: values.full, data, seed })
      .pipe(
        Effect.scoped,
        Effect.provide(Metrics.layer([Effect.succeed(keepLastRun(rows))])),
        Effect.tap(writeReport(seeds === 1 ? recipe.name : `${recipe.name}-${seed}`, rows))
      )
  })

const runRecipe = (recipe: Recipe, seed: number) =>
  runReported(recipe, seed).pipe(
    silent,
    Effect.catchAllCause((cause) =>
      Effect.as(Console.error(`${recipe.name}: ${Cause.pretty(cause)}`), {
        before: Number.NaN,
        after: Number.NaN,
        line: "ends without an error",
        passed: false
      })
    ),
    Effect.timed,
    Effect.flatMap(([took, outcome]) => {
      const name = seeds === 1 ? recipe.name : `${recipe.name} (seed ${seed})`
      return Effect.as(
        Effect.andThen(print(name, outcome), Console.error(`${name} took ${Duration.toSeconds(took).toFixed(1)} s`)),
        outcome.passed
      )
    })
  )

const program = Effect.gen(function* () {
  const { only } = values
  const names = only?.split(",")
  const chosen = recipes.filter(
    ({ group, name }) => names === undefined || names.includes(group) || names.includes(name)
  )
  if (chosen.length === 0) {
    const known = Array.from(new Set(recipes.flatMap(({ group, name }) => [group, name])))
    return yield* Effect.fail({ message: `there is no recipe ${only}: give one of ${known.join(", ")}` })
  }
  if (!(Number.isSafeInteger(seeds) && seeds >= 1)) {
    return yield* Effect.fail({ message: `--seeds is ${values.seeds}: give a whole number of 1 or more` })
  }
  const isSkipped = ({ nightly }: Recipe) => nightly !== undefined && !values.full && names === undefined
  yield* Effect.forEach(chosen.filter(isSkipped), printSkipped)
  const runs = chosen
    .filter((recipe) => !isSkipped(recipe))
    .flatMap((recipe) => Array.from({ length: seeds }, (_, seed) => [recipe, seed] as const))
  const size = Math.min(services, runs.length)
  const free = yield* Pool.make({ acquire: Layer.build(RecipeLive), size })
  const passed = yield* Effect.forEach(
    runs,
    ([recipe, seed]) =>
      Effect.scoped(Effect.flatMap(free.get, (service) => Effect.provide(runRecipe(recipe, seed), service))),
    { concurrency: size }
  )
  if (!passed.every(Boolean)) return yield* Effect.fail({ message: "a recipe has failed" })
})

program.pipe(
  Effect.scoped,
  Effect.provide([NodeContext.layer, FetchHttpClient.layer]),
  Effect.tapErrorCause((cause) =>
    Console.error(
      Cause.squash(cause) instanceof Error ? Cause.pretty(cause) : (Cause.squash(cause) as { message: string }).message
    )
  ),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
