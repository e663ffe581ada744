/**
 * The page: trains the shipped model in the visitor's browser by the program of `npm start`, ../past-tense.ts, which it runs
 * with the layers of service.ts. `npm run page` builds and serves it.
 */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as PastTense from "../past-tense.ts"
import * as adapter from "./adapter.ts"
import * as pairs from "./pairs.ts"
import { layer, nano } from "./service.ts"
import { type Answer, parts, saveAs, say, showAnswers, showLosses } from "./view.ts"

/** How many held-out verbs are asked before and after. */
const heldOut = 24
const shown = 8
const mostSteps = 1000

/** The number of steps: `?steps=8` makes a short run. */
const asked = Number(new URLSearchParams(location.search).get("steps"))
const steps = Number.isInteger(asked) && asked >= 1 && asked <= mostSteps ? asked : PastTense.defaults.steps

const losses: Array<number> = []
/** the path of the weights to try and to save */
let trained: string | undefined
let training: Fiber.RuntimeFiber<unknown, unknown> | undefined

const runtime = ManagedRuntime.make(
  layer({
    download: ({ file, received, total }) => {
      parts.download.hidden = false
      if (total !== undefined) parts.download.value = received / total
      parts.status.dataset["file"] = file
    },
    step: (row) => {
      const { num_tokens, train_mean_nll } = row
      const seconds = row["time/total"]
      if (typeof train_mean_nll === "number") losses.push(train_mean_nll)
      showLosses(losses, steps)
      parts.step.textContent = `${losses.length} of ${steps}`
      parts.loss.textContent = losses.at(-1)?.toFixed(3) ?? "–"
      if (typeof num_tokens === "number" && typeof seconds === "number") {
        parts.speed.textContent = `${Math.round(num_tokens / seconds).toLocaleString("en")} tokens/s`
      }
    },
    log: (message) => {
      const [, where] = /^the engine computes (?:on|in) ([^,:]+)/.exec(message) ?? []
      if (where !== undefined) parts.executor.textContent = where
    }
  })
)

type Services = ManagedRuntime.ManagedRuntime.Context<typeof runtime>

const explain = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => Cause.pretty(cause),
    onSome: (error) => (error instanceof Error ? error.message : String(error))
  })

/** Runs an effect for a button, and says why it failed, be it for want of the service. */
const start = (effect: Effect.Effect<unknown, unknown, Services>): Fiber.RuntimeFiber<unknown, unknown> => {
  const fiber = runtime.runFork(effect)
  fiber.addObserver((exit) => {
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) say(`That failed: ${explain(exit.cause)}`)
  })
  return fiber
}

/** What the program prints goes to the page. */
const printing = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Console.consoleWith((current) =>
    Effect.withConsole(program, {
      ...current,
      log: (...args) => Effect.sync(() => parts.output.append(`${args.map(String).join(" ")}\n`))
    })
  )

/** The file with the data of the run: the verbs, or the pairs of the visitor. */
const writeData = (own: ReadonlyArray<pairs.Pair> | undefined) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = own === undefined ? yield* verbs : pairs.toJsonLines(own)
    yield* fs.writeFileString("/data.jsonl", text)
    return "/data.jsonl"
  })

const verbs = Effect.tryPromise({
  try: async () => await (await fetch("./past-tense.jsonl")).text(),
  catch: () => new Error("the verbs cannot be fetched: is there a network?")
})

/** Shows what the untrained model answers, while the training begins. */
const showBefore = (options: PastTense.Options) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const { heldOut: records } = yield* PastTense.readData({ ...options, heldOut: shown })
    const untrained = yield* service.createSamplingClient({ base_model: nano })
    const before = yield* PastTense.completeAll(untrained, records)
    const answers = records.map(({ completion, prompt }, i): Answer => {
      return { prompt, expected: completion.trim(), before: before[i]! }
    })
    showAnswers(answers)
    return answers
  })

const percent = (value: number) => `${Math.round(value * 100)} %`

const train = (own: ReadonlyArray<pairs.Pair> | undefined) =>
  Effect.gen(function* () {
    const options: PastTense.Options = { ...PastTense.defaults, data: yield* writeData(own), steps, heldOut }
    say("Asking the untrained model …")
    const answers = yield* showBefore(options)
    say("Training …")
    const { after, before, completedAfter, path } = yield* printing(PastTense.program(options))
    showAnswers(answers.map((answer, i) => ({ ...answer, after: completedAfter[i] })))
    const which = own === undefined ? "held-out verbs" : "of your pairs"
    parts.score.textContent = `${percent(before)} of ${completedAfter.length} ${which} right before, ${percent(after)} after.`
    setTrained(path)
    yield* adapter.removeOthers(path)
    say(`Trained. ${parts.score.textContent}`)
  }).pipe(Effect.scoped)

const setTrained = (path: string) => {
  trained = path
  parts.save.disabled = false
  parts.tryButton.disabled = false
}

const setTraining = (isTraining: boolean) => {
  parts.train.disabled = isTraining
  parts.stop.disabled = !isTraining
  parts.tryButton.disabled = isTraining || trained === undefined
}

const begin = (own: ReadonlyArray<pairs.Pair> | undefined) => {
  losses.length = 0
  showLosses(losses, steps)
  parts.output.textContent = ""
  parts.score.textContent = ""
  parts.answers.replaceChildren()
  setTraining(true)
  parts.stop.focus()
  training = start(train(own))
  training.addObserver((exit) => {
    if (Exit.isInterrupted(exit)) say("Stopped.")
    setTraining(false)
    parts.train.focus()
  })
}

/** What the base model and the trained one say to a prompt of the visitor. */
const tryPrompt = (prompt: string, path: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const models = [{ base_model: nano }, { model_path: path }] as const
    const [before, after] = yield* Effect.forEach(models, (model) =>
      Effect.gen(function* () {
        const sampling = yield* service.createSamplingClient(model)
        const [answer] = yield* PastTense.completeAll(sampling, [{ prompt: pairs.promptOf(prompt), completion: "" }])
        return answer === "" ? "nothing" : answer!
      })
    )
    parts.tried.textContent = `${prompt}: ${after} (before training: ${before})`
  }).pipe(Effect.scoped)

const isOwn = () => new FormData(parts.form).get("data") === "own"

parts.form.addEventListener("change", () => {
  parts.ownPairs.hidden = !isOwn()
})
parts.form.addEventListener("submit", (event) => {
  event.preventDefault()
  parts.problem.textContent = ""
  if (!isOwn()) return begin(undefined)
  const parsed = pairs.parse(parts.pairs.value)
  if (Either.isRight(parsed)) return begin(parsed.right)
  parts.problem.textContent = parsed.left
  parts.pairs.focus()
})
parts.stop.addEventListener("click", () => {
  if (training !== undefined) runtime.runFork(Fiber.interrupt(training))
})
parts.tryForm.addEventListener("submit", (event) => {
  event.preventDefault()
  const prompt = parts.tryField.value.trim().slice(0, 200)
  if (prompt !== "" && trained !== undefined) start(tryPrompt(prompt, trained))
})
parts.save.addEventListener("click", () => {
  if (trained !== undefined) start(Effect.map(adapter.archive(trained), (bytes) => saveAs(bytes, "adapter.tar")))
})

showLosses(losses, steps)
start(
  Effect.gen(function* () {
    const kept = yield* adapter.newest
    parts.download.hidden = true
    if (kept !== undefined) setTrained(kept)
    say(kept === undefined ? "Ready." : "Ready. The adapter of your last visit is still here: try it, or train again.")
    parts.train.disabled = false
  })
)
if ("serviceWorker" in navigator) void navigator.serviceWorker.register("./service-worker.js")
