import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { CliError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as embedded from "../embedded.ts"
import { describe } from "../failure.ts"
import * as Io from "../io.ts"
import * as output from "../output.ts"
import { version } from "../version.ts"

interface Options extends Global {
  readonly model: Option.Option<string>
}

interface Check {
  readonly name: string
  readonly status: "ok" | "warning" | "failed" | "skipped"
  readonly detail: string
  /** what to do */
  readonly advice?: string | undefined
}

const marks = { ok: "✓", warning: "!", failed: "✗", skipped: "-" } as const

const clockTolerance = 60_000
const patience = "15 seconds"

const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    const value = yield* self
    return [(yield* Clock.currentTimeMillis) - begun, value] as const
  })

const setting = (name: string) =>
  Effect.orElseSucceed(Config.option(Config.nonEmptyString(name)), () => Option.none<string>())

const examine = (options: Options, checks: Array<Check>) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const found = (check: Check) =>
      Effect.suspend(() => {
        checks.push(check)
        const advice = check.advice === undefined ? "" : ` → ${check.advice}`
        const line = `${marks[check.status]} ${check.name}: ${check.detail}${advice}`.replace(/\s+/g, " ")
        return options.format === "json" ? Effect.void : io.out(`${line}\n`)
      })
    const failed = (name: string, error: unknown, advice?: string) =>
      found({ name, status: "failed", detail: describe(error), advice })
    const skip = (names: ReadonlyArray<string>, why: string) =>
      Effect.forEach(names, (name) => found({ name, status: "skipped", detail: why }), { discard: true })

    const url = Option.getOrElse(yield* setting("TINKER_BASE_URL"), () => TinkerConfig.defaultBaseUrl)
    const config = yield* Effect.either(TinkerConfig.fromConfig())
    if (Either.isLeft(config)) {
      const aboutUrl = config.left.path === "baseUrl"
      yield* failed(
        aboutUrl ? "url" : "key",
        config.left,
        aboutUrl
          ? "set TINKER_BASE_URL, or unset it for the hosted service"
          : "set TINKER_API_KEY; without a key, 'tinker train' and 'tinker sample' use the embedded service"
      )
      yield* skip(["reachability", "clock", "heartbeat", "models", "queue", "tokenizer"], "needs what failed above")
      return
    }
    yield* found({ name: "key", status: "ok", detail: "there is one, of a form that the service may take" })
    const isHosted = config.right.baseUrl === TinkerConfig.defaultBaseUrl
    yield* found({
      name: "url",
      status: "ok",
      detail: `${url} (${isHosted ? "the hosted service" : "a service of one's own"})`
    })

    const http = FetchHttpClient.layer
    const context = yield* Layer.build(
      TinkerClient.layer.pipe(
        Layer.provide(Layer.succeed(TinkerConfig.TinkerConfig, config.right)),
        Layer.provide(http)
      )
    )
    const client = Context.get(context, TinkerClient.TinkerClient)

    const health = yield* Effect.either(timed(client.request(TinkerApi.healthz, undefined as never)))
    if (Either.isLeft(health)) {
      yield* failed(
        "reachability",
        health.left,
        health.left._tag === "Unauthorized"
          ? "the service does not take this key: make a new one"
          : "check TINKER_BASE_URL, the network, and proxies between"
      )
      yield* skip(["clock", "heartbeat", "models", "queue", "tokenizer"], "needs what failed above")
      return
    }
    const [roundTrip, answer] = health.right
    yield* found({ name: "reachability", status: "ok", detail: `the service answers in ${roundTrip} ms` })

    const told = Date.parse(answer.headers["date"] ?? "")
    const skew = (yield* Clock.currentTimeMillis) - told
    yield* found(
      Number.isNaN(told)
        ? { name: "clock", status: "skipped", detail: "the service does not say what time it is" }
        : Math.abs(skew) > clockTolerance
          ? {
              name: "clock",
              status: "failed",
              detail: `this machine is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? "ahead" : "behind"}`,
              advice: "set the clock: tokens and signed URLs expire by it"
            }
          : { name: "clock", status: "ok", detail: "agrees with the service's" }
    )

    const session = yield* Effect.either(
      client.call(TinkerApi.createSession, {
        tags: ["tinker doctor"],
        user_metadata: {},
        sdk_version: version,
        type: "create_session"
      })
    )
    if (Either.isLeft(session)) {
      yield* failed("heartbeat", session.left, "the service opens no session: check the key's rights")
    } else {
      const beat = yield* Effect.either(
        timed(
          client.call(TinkerApi.sessionHeartbeat, {
            session_id: session.right.session_id,
            type: "session_heartbeat"
          })
        )
      )
      yield* Either.isLeft(beat)
        ? failed("heartbeat", beat.left, "sessions would be lost: try again, and report the request id if it lasts")
        : found({
            name: "heartbeat",
            status: beat.right[0] > 5000 ? "warning" : "ok",
            detail: `answered in ${beat.right[0]} ms`,
            advice: beat.right[0] > 5000 ? "sessions need one every 10 s: look for a slow network or proxy" : undefined
          })
    }

    const capabilities = yield* Effect.either(client.call(TinkerApi.getServerCapabilities, undefined as never))
    if (Either.isLeft(capabilities)) {
      yield* failed("models", capabilities.left, "ask who runs the service")
      yield* skip(["queue", "tokenizer"], "needs a model")
      return
    }
    const names = capabilities.right.supported_models.flatMap(({ model_name }) =>
      model_name === undefined ? [] : [model_name]
    )
    const set = yield* setting("TINKER_BASE_MODEL")
    const asked = Option.getOrUndefined(Option.orElse(options.model, () => set))
    const model = asked ?? names[0]
    if (model === undefined || !names.includes(model)) {
      yield* found({
        name: "models",
        status: "failed",
        detail: model === undefined ? "the service offers none" : `the service does not offer ${model}`,
        advice: "see 'tinker model list', then set TINKER_BASE_MODEL or give --model"
      })
      yield* skip(["queue", "tokenizer"], "needs a model")
      return
    }
    yield* found({ name: "models", status: "ok", detail: `${names.length} on offer; looking at ${model}` })

    // one token says whether work is done, and if not why
    const queue = yield* Effect.either(
      Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: model })
        const sampled = yield* timed(
          sampling.sample(ModelInput.fromTokens([1]), { sampling_params: { max_tokens: 1 } })
        ).pipe(Effect.timeoutOption(patience))
        return [sampled, yield* sampling.queueState.current] as const
      }).pipe(Effect.provide(ServiceClient.layerConfig().pipe(Layer.provide(http))))
    )
    if (Either.isLeft(queue)) yield* failed("queue", queue.left, "the service does not sample from this model now")
    else {
      const [sampled, state] = queue.right
      yield* found(
        Option.isSome(sampled)
          ? { name: "queue", status: "ok", detail: `a token came after ${sampled.value[0]} ms` }
          : {
              name: "queue",
              status: "warning",
              detail: `no token in ${patience}; the queue is ${state.state}${state.reason === undefined ? "" : ` (${state.reason})`}`,
              advice:
                state.state === "paused_rate_limit"
                  ? "have less under way at once"
                  : "the service is short of machines: wait, or take another model"
            }
      )
    }

    const tokenizer = yield* Effect.either(
      Effect.gen(function* () {
        const set = yield* setting("TINKER_TOKENIZER")
        if (Option.isSome(set)) return yield* Tokenizer.fromDirectory(set.value)
        if (model === "effect-tinker/nano") {
          const { shipped } = yield* embedded.load
          return yield* Tokenizer.fromDirectory((yield* Effect.promise(shipped)).directory)
        }
        return yield* Effect.flatMap(Tokenizers.Tokenizers, ({ forModel }) => forModel(model)).pipe(
          Effect.provide(Tokenizers.layerConfig().pipe(Layer.provide(http)))
        )
      })
    )
    yield* Either.isLeft(tokenizer)
      ? failed(
          "tokenizer",
          tokenizer.left,
          "set HF_TOKEN for models that need one, or TINKER_TOKENIZER to a directory with tokenizer.json"
        )
      : found({ name: "tokenizer", status: "ok", detail: `of ${model}, ${tokenizer.right.vocabSize} tokens` })
  }).pipe(Effect.scoped, RetryPolicy.withRetryPolicy({ total: "5 seconds", timeout: "10 seconds" }))

/** @internal */
export const doctor = (options: Options) =>
  Effect.gen(function* () {
    const checks: Array<Check> = []
    yield* examine(options, checks)
    const broken = checks.filter(({ status }) => status === "failed").map(({ name }) => name)
    if (options.format === "json") yield* output.json({ ok: broken.length === 0, checks })
    if (broken.length > 0) return yield* new CliError({ title: `Something is broken: ${broken.join(", ")}` })
  })
