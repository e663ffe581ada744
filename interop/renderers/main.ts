/**
 * Renders 200 conversations with tinker-cookbook 0.6.1 and with this package, and compares tokens, weights and datums; then
 * learning rates and losses. The
 * differences that are meant are numbered in packages/cookbook/test/utils/cookbookDifferences.ts; others fail.
 */
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Json from "@effect-tinker/tokenizers/Json"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { fileURLToPath } from "node:url"
import { type Conversation, differences } from "../../packages/cookbook/test/utils/cookbookDifferences.ts"
import { type Example, makeCounter, render } from "../../packages/cookbook/test/utils/cookbookExamples.ts"
import * as vocabularies from "../../packages/cookbook/test/utils/vocabularies.ts"
import * as measures from "./measures.ts"
import { inEnvironment, install, prepare, run } from "../python.ts"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const environment = path(".venv")
const reference = path("../../packages/cookbook/reference")

interface Reference extends measures.Measures {
  readonly modes: ReadonlyArray<Renderer.TrainOn>
  readonly conversations: ReadonlyArray<Conversation>
  /** by renderer and vocabulary, of each conversation one example for each mode */
  readonly examples: { readonly [key: string]: ReadonlyArray<ReadonlyArray<Example | { readonly error: string }>> }
}

/** The vocabularies in one folder, each in a folder of its name. */
const linkVocabularies = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    for (const name of ["qwen3", "llama3_1", "gemma3"] as const) {
      yield* fs.symlink(vocabularies.directoryOf(name), `${directory}/${name}`)
    }
  })

const readReference = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const out = `${directory}/examples.json`
    const code = yield* run(inEnvironment(environment, "python"), `${reference}/render.py`, directory, out)
    if (code !== 0) return undefined
    return Either.getOrThrow(Json.parse(yield* fs.readFileString(out))) as unknown as Reference
  })

const numbers = (values: ReadonlyArray<unknown>): ReadonlyArray<number> =>
  values.map((value) => Math.fround(Json.toNumber(value) ?? Number.NaN))

const isSame = (actual: Example | undefined, expected: Example | { readonly error: string }): boolean => {
  if (actual === undefined || "error" in expected) return actual === undefined && "error" in expected
  return (["tokens", "weights", "targets", "reduced"] as const).every((field) => {
    const [a, b] = [numbers(actual[field]), numbers(expected[field])]
    return a.length === b.length && a.every((value, i) => value === b[i])
  })
}

/** Compares one renderer. Succeeds with whether only listed differences were found, each in its number of cases. */
const compare = (key: string, { conversations, examples, modes }: Reference) =>
  Effect.gen(function* () {
    const [name, vocabulary] = key.split(" ") as [string, vocabularies.Name]
    const renderer = yield* Renderer.make(name, yield* vocabularies.load(vocabulary))
    const counter = makeCounter(name)
    for (const [i, conversation] of conversations.entries()) {
      for (const [m, mode] of modes.entries()) {
        if (!isSame(yield* render(renderer, conversation, i, mode), examples[key]![i]![m]!))
          counter.add(conversation, i, mode)
      }
    }
    const different = [...counter.counts.values()].reduce((total, count) => total + count, 0)
    const all = conversations.length * modes.length
    yield* Console.log(`${key}: ${all - different - counter.unexplained.length} of ${all} examples are equal`)
    let passed = counter.unexplained.length === 0
    for (const line of counter.unexplained) yield* Console.log(`  not listed: ${line}`)
    for (const { counts, number, reason } of differences) {
      const [count, listed] = [counter.counts.get(number) ?? 0, counts[key] ?? 0]
      if (count > 0) yield* Console.log(`  ${number}. ${count} differ: ${reason}`)
      if (count === listed) continue
      passed = false
      yield* Console.log(`  ${number}. ${count} differ, and ${listed} are listed`)
    }
    return passed
  })

/** Succeeds with whether only listed differences were found. */
export const main = Effect.gen(function* () {
  const what = "tinker-cookbook"
  const reason =
    (yield* prepare(environment, what, ["-r", `${reference}/requirements.txt`], "5 minutes")) ??
    (yield* install(environment, what, ["--no-deps", "tinker-cookbook==0.6.1"], "2 minutes"))
  if (reason !== undefined) {
    yield* Console.log(`skipped: ${reason}`)
    return true
  }
  if ((yield* run(process.execPath, path("../../scripts/vocabularies.mjs"))) !== 0) {
    yield* Console.log("skipped: vocabularies are missing")
    return true
  }
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "interop-" })
  yield* linkVocabularies(directory)
  const found = yield* readReference(directory)
  if (found === undefined) return false
  let passed = true
  for (const key of Object.keys(found.examples)) passed = (yield* compare(key, found)) && passed
  return (yield* measures.compare(found)) && passed
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
