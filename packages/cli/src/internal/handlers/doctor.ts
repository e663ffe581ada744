/** Handler of `tinker doctor`: runs the checks in order, tries the service, and fails if training cannot work. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Global } from "../definition/global.ts"
import { type Check, makeReporter, type Reporter, skip } from "../doctor/check.ts"
import { checkModels, checkQueue, checkTokenizer } from "../doctor/model.ts"
import * as report from "../doctor/report.ts"
import { checkClock, checkConfig, checkHeartbeat, checkReachability, type Target } from "../doctor/service.ts"
import * as trial from "../doctor/trial.ts"
import { CliError, UsageError } from "../errors/cliError.ts"
import * as output from "../terminal/output.ts"

interface Options extends Global {
  readonly model: Option.Option<string>
  readonly try: boolean
  readonly noTry: boolean
  readonly json: boolean
  readonly checkpoints: string
}

const needsEarlier = "requires the check that failed"

/** The client of the service, and the content type of the last forward pass that was sent. */
const connect = (config: TinkerConfig.Service) =>
  Effect.gen(function* () {
    let contentType: string | undefined
    const http = NodeHttpClient.layerWith({
      transformRequest: (request) => {
        if (/\/forward(?:_backward)?$/.test(request.url)) contentType = request.headers["content-type"]
        return request
      }
    })
    const context = yield* Layer.build(
      RestClient.layerNoDeps.pipe(
        Layer.provideMerge(TinkerClient.layer),
        Layer.provide(Layer.succeed(TinkerConfig.TinkerConfig, { ...config, telemetry: false })),
        Layer.provide(http)
      )
    )
    return {
      client: Context.get(context, TinkerClient.TinkerClient),
      rest: Context.get(context, RestClient.RestClient),
      contentType: () => contentType
    }
  })

type Connection = Effect.Effect.Success<ReturnType<typeof connect>>

/** A hosted service keeps what a killed command has left for an hour. */
const hostedTtl = 3600

const tryService = (connection: Connection, target: Target, options: Options, model: string) =>
  Effect.gen(function* () {
    if (!target.isLocal) yield* output.note(options.format, trial.spending(model))
    const session = yield* Effect.either(
      Layer.build(
        ServiceClient.layerNoDeps.pipe(Layer.provide(Layer.succeed(TinkerClient.TinkerClient, connection.client)))
      )
    )
    if (Either.isLeft(session)) return undefined
    return yield* trial.run({
      service: Context.get(session.right, ServiceClient.ServiceClient),
      rest: connection.rest,
      model,
      contentType: connection.contentType,
      ttl: target.isLocal ? undefined : hostedTtl
    })
  }).pipe(Effect.scoped)

/** Whether to try the service: by default only where that costs nothing. */
const wantsTrial = (options: Options, { isLocal }: Target): boolean => options.try || (isLocal && !options.noTry)

/** Runs all checks; those that depend on a failed one are skipped. Succeeds with the results of the trial. */
const runChecks = (reporter: Reporter, options: Options, target: Target) =>
  Effect.gen(function* () {
    const connection = yield* connect(target.config)
    const date = yield* checkReachability(reporter, connection.client)
    if (Option.isNone(date)) {
      yield* skip(reporter, ["clock", "heartbeat", "models", "queue", "tokenizer"], needsEarlier)
      return undefined
    }
    yield* checkClock(reporter, date.value)
    yield* checkHeartbeat(reporter, connection.client)
    const checked = yield* checkModels(reporter, connection.client, options.model)
    if (Option.isNone(checked)) {
      yield* skip(reporter, ["queue", "tokenizer"], "requires a model")
      return undefined
    }
    const model = checked.value
    yield* checkQueue(reporter, connection.client, model)
    yield* checkTokenizer(reporter, model)
    return wantsTrial(options, target) ? yield* tryService(connection, target, options, model) : undefined
  }).pipe(Effect.scoped, RetryPolicy.withRetryPolicy({ total: "2 seconds", timeout: "10 seconds" }))

const isBroken = ({ status }: Check): boolean => status === "failed"

/** @internal */
export const doctor = (given: Options) =>
  Effect.gen(function* () {
    if (given.try && given.noTry) return yield* new UsageError({ reason: "--try and --no-try exclude each other" })
    const options: Options = given.json ? { ...given, format: "json" } : given
    const reporter = yield* makeReporter(options.format)
    const target = yield* checkConfig(reporter, options.checkpoints)
    if (Option.isNone(target)) {
      yield* skip(reporter, ["reachability", "clock", "heartbeat", "models", "queue", "tokenizer"], needsEarlier)
    }
    const results = Option.isNone(target) ? undefined : yield* runChecks(reporter, options, target.value)
    const broken = [...reporter.checks, ...(results ?? [])].filter(isBroken).map(({ name }) => name)
    const url = Option.getOrUndefined(Option.map(target, ({ config }) => report.shownUrl(config.baseUrl)))
    if (options.format === "json") {
      yield* report.printJson({ checks: reporter.checks, url, trial: results }, broken.length === 0)
    } else if (results !== undefined) yield* report.printTrial(results)
    if (broken.length > 0) return yield* new CliError({ title: `Something is broken: ${broken.join(", ")}` })
  }).pipe(Effect.scoped)
