/** Checks of one base model: whether the service offers it, samples from it, and where its tokenizer comes from. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as QueueState from "@effect-tinker/client/QueueState"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as tokenizer from "../service/tokenizer.ts"
import * as settings from "../util/settings.ts"
import { describe } from "../errors/describe.ts"
import { failed, ok, type Reporter, timed } from "./check.ts"

/** How long to wait for one token. */
const sampleTimeout = "15 seconds"

/** Chooses the base model to check. Succeeds with its name if the service offers it. @internal */
export const checkModels = Effect.fnUntraced(function* (
  reporter: Reporter,
  client: TinkerClient.Service,
  requested: Option.Option<string>
) {
  const capabilities = yield* Effect.either(client.call(TinkerApi.getServerCapabilities, undefined as never))
  if (Either.isLeft(capabilities)) {
    yield* failed(reporter, "models", capabilities.left, "ask the operator of the service")
    return Option.none<string>()
  }
  const names = capabilities.right.supported_models.flatMap(({ model_name }) =>
    model_name === undefined ? [] : [model_name]
  )
  const configured = yield* settings.optional("TINKER_BASE_MODEL")
  const model = Option.getOrUndefined(Option.orElse(requested, () => configured)) ?? names[0]
  if (model === undefined || !names.includes(model)) {
    yield* reporter.report({
      name: "models",
      status: "failed",
      detail: model === undefined ? "the service offers none" : `the service does not offer ${model}`,
      advice: "see 'tinker model list', then set TINKER_BASE_MODEL or --model"
    })
    return Option.none<string>()
  }
  yield* ok(reporter, "models", `${names.length} available; checking ${model}`)
  return Option.some(model)
})

/** Samples one token. Succeeds with the time in milliseconds if it arrives, and the state of the queue. */
const sampleOne = (client: TinkerClient.Service, model: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const sampling = yield* service.createSamplingClient({ base_model: model })
    const sampled = yield* timed(
      sampling.sample(ModelInput.fromTokens([1]), { sampling_params: { max_tokens: 1 } })
    ).pipe(Effect.timeoutOption(sampleTimeout))
    return [Option.map(sampled, ([millis]) => millis), yield* sampling.queueState.current] as const
  }).pipe(
    Effect.provide(ServiceClient.layerNoDeps.pipe(Layer.provide(Layer.succeed(TinkerClient.TinkerClient, client))))
  )

const queueAdvice = ({ state }: QueueState.QueueState): string => {
  switch (state) {
    case "paused_rate_limit":
      return "run fewer requests at once"
    case "retrying":
      return "the service fails again and again: its own log may say why"
    default:
      return "the service is short of capacity: wait, or use another model"
  }
}

/** Checks that the service samples from a model, and if not, why it queues. @internal */
export const checkQueue = Effect.fnUntraced(function* (
  reporter: Reporter,
  client: TinkerClient.Service,
  model: string
) {
  const queue = yield* Effect.either(sampleOne(client, model))
  if (Either.isLeft(queue)) {
    // training may work without
    return yield* reporter.report({
      name: "queue",
      status: "warning",
      detail: describe(queue.left),
      advice: "the service does not sample from this model now"
    })
  }
  const [millis, state] = queue.right
  if (Option.isSome(millis)) return yield* ok(reporter, "queue", `a token arrived after ${millis.value} ms`)
  const reason = state.reason === undefined ? "" : ` (${state.reason})`
  yield* reporter.report({
    name: "queue",
    status: "warning",
    detail: `no token in ${sampleTimeout}; the queue is ${state.state}${reason}`,
    advice: queueAdvice(state)
  })
})

const loadTokenizer = (model: string) =>
  Effect.gen(function* () {
    const configured = yield* settings.optional("TINKER_TOKENIZER")
    if (Option.isSome(configured)) return yield* Tokenizer.fromDirectory(configured.value)
    return yield* model === tokenizer.shippedModel ? tokenizer.shipped : tokenizer.fromHub(model)
  })

/** Loads the tokenizer of a model. @internal */
export const checkTokenizer = Effect.fnUntraced(function* (reporter: Reporter, model: string) {
  const loaded = yield* Effect.either(loadTokenizer(model))
  yield* Either.isLeft(loaded)
    ? failed(
        reporter,
        "tokenizer",
        loaded.left,
        "set HF_TOKEN for models that require one, or TINKER_TOKENIZER to a directory with tokenizer.json"
      )
    : ok(reporter, "tokenizer", `of ${model}, ${loaded.right.vocabSize} tokens`)
})
