/** Handler of `tinker doctor`: runs the checks in order, and fails if one of them failed. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Global } from "../definition/global.ts"
import { makeReporter, type Reporter, skip } from "../doctor/check.ts"
import { checkModels, checkQueue, checkTokenizer } from "../doctor/model.ts"
import { checkClock, checkConfig, checkHeartbeat, checkReachability } from "../doctor/service.ts"
import { CliError } from "../errors/cliError.ts"
import * as output from "../terminal/output.ts"

interface Options extends Global {
  readonly model: Option.Option<string>
}

const needsEarlier = "requires the check that failed"

/** Runs all checks; those that depend on a failed one are skipped. */
const runChecks = (reporter: Reporter, model: Option.Option<string>) =>
  Effect.gen(function* () {
    const config = yield* checkConfig(reporter)
    if (Option.isNone(config)) {
      const rest = ["reachability", "clock", "heartbeat", "models", "queue", "tokenizer"]
      return yield* skip(reporter, rest, needsEarlier)
    }
    const context = yield* Layer.build(
      TinkerClient.layer.pipe(
        Layer.provide(Layer.succeed(TinkerConfig.TinkerConfig, config.value)),
        Layer.provide(NodeHttpClient.layer)
      )
    )
    const client = Context.get(context, TinkerClient.TinkerClient)
    const date = yield* checkReachability(reporter, client)
    if (Option.isNone(date)) {
      return yield* skip(reporter, ["clock", "heartbeat", "models", "queue", "tokenizer"], needsEarlier)
    }
    yield* checkClock(reporter, date.value)
    yield* checkHeartbeat(reporter, client)
    const checked = yield* checkModels(reporter, client, model)
    if (Option.isNone(checked)) return yield* skip(reporter, ["queue", "tokenizer"], "requires a model")
    yield* checkQueue(reporter, checked.value)
    yield* checkTokenizer(reporter, checked.value)
  }).pipe(Effect.scoped, RetryPolicy.withRetryPolicy({ total: "5 seconds", timeout: "10 seconds" }))

/** @internal */
export const doctor = (options: Options) =>
  Effect.gen(function* () {
    const reporter = yield* makeReporter(options.format)
    yield* runChecks(reporter, options.model)
    const broken = reporter.checks.filter(({ status }) => status === "failed").map(({ name }) => name)
    if (options.format === "json") yield* output.json({ ok: broken.length === 0, checks: reporter.checks })
    if (broken.length > 0) return yield* new CliError({ title: `Something is broken: ${broken.join(", ")}` })
  })
