/** Runs the past-tense example on the hosted service if TINKER_API_KEY is set, else on the embedded one. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Timings from "@effect-tinker/cookbook/Timings"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { fileURLToPath } from "node:url"
import * as PastTense from "./past-tense.ts"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const MetricsLive = Metrics.layer([
  Metrics.console({
    write: (text) => process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
    columns: process.stderr.columns
  })
])

const BackendLive = Backend.layerConfig({ checkpoints: file("../checkpoints") }).pipe(Timings.timeLayer("session"))

const MainLive = Layer.mergeAll(MetricsLive, BackendLive).pipe(
  Layer.provideMerge(Timings.layer),
  Layer.provideMerge(NodeContext.layer),
  Layer.provide(NodeHttpClient.layer)
)

// for a short run: TINKER_STEPS=8 npm start
const steps = Config.integer("TINKER_STEPS").pipe(Config.withDefault(PastTense.defaults.steps))

// the message of an expected failure says what to do; a defect needs its stack trace
const explain = (cause: Cause.Cause<{ readonly message: string }>): string =>
  Option.match(Cause.failureOption(cause), { onNone: () => Cause.pretty(cause), onSome: ({ message }) => message })

Effect.flatMap(steps, (steps) =>
  PastTense.program({ ...PastTense.defaults, data: file("../data/past-tense.jsonl"), steps })
).pipe(
  Effect.provide(MainLive),
  Effect.tapErrorCause((cause) => Effect.sync(() => console.error(explain(cause)))),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
