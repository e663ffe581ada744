/** A service that speaks the OpenAI protocol, over an engine whose model says what a function of the prompt says. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ChatFormats from "@effect-tinker/cookbook/ChatFormats"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Engine from "@effect-tinker/server/Engine"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerService from "@effect-tinker/server/TinkerService"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

export const baseModel = "test/scripted"

export const tokenizer = Effect.provide(
  Effect.flatMap(ModelDirectory.nano, (directory) => Tokenizer.fromDirectory(directory)),
  NodeContext.layer
)

/** What the model says after a prompt. */
export type Script = (prompt: string) => string

interface EngineOptions {
  readonly script: Script
  /** how long each token takes; none by default */
  readonly pause?: Effect.Effect<void> | undefined
}

const sequenceOf = (text: string, options: Engine.SampleOptions, tokenizer: Tokenizer.Service) => {
  const { max_tokens = 512, stop } = options.sampling_params
  const stops = (typeof stop === "string" ? [stop] : (stop ?? [])) as ReadonlyArray<string | number>
  const all = [...tokenizer.encode(text), tokenizer.tokenToId("<|im_end|>")!]
  for (let length = 1; length <= Math.min(all.length, max_tokens); length++) {
    const tokens = all.slice(0, length)
    const isEnd = length === all.length || stops.includes(tokens.at(-1)!)
    const said = tokenizer.decode(tokens)
    if (isEnd || stops.some((sequence) => typeof sequence === "string" && said.includes(sequence))) {
      return { tokens, stop_reason: "stop" as const }
    }
  }
  return { tokens: all.slice(0, max_tokens), stop_reason: "length" as const }
}

const sample = (tokenizer: Tokenizer.Service, { pause, script }: EngineOptions, options: Engine.SampleOptions) =>
  Effect.gen(function* () {
    const prompt = Array.from(ModelInput.toTokens(options.prompt))
    const { stop_reason, tokens } = sequenceOf(script(tokenizer.decode(prompt)), options, tokenizer)
    const logprobs = tokens.map((_, i) => -(i + 1) / 8)
    const top = options.topk_sample_logprobs ?? 0
    const topk = tokens.map((token, i) => Array.from({ length: top }, (_, j) => [token + j, logprobs[i]! - j] as const))
    for (let i = 0; pause !== undefined && i < tokens.length; i++) {
      yield* pause
      for (let index = 0; index < options.num_samples; index++) {
        options.onToken?.({
          index,
          token: tokens[i]!,
          logprob: logprobs[i]!,
          topk: top > 0 ? topk[i] : undefined,
          stop_reason: i === tokens.length - 1 ? stop_reason : undefined
        })
      }
    }
    return {
      sequences: Array.from({ length: options.num_samples }, () => ({
        stop_reason,
        tokens: Int32Array.from(tokens),
        logprobs: Float32Array.from(logprobs),
        ...(top > 0 ? { topk_logprobs: topk } : {})
      })),
      prompt_cache_hit_tokens: Math.min(3, prompt.length),
      type: "sample" as const
    }
  })

const unsupported = () => new Engine.EngineError({ reason: "it does not train", category: "user" })

const layerEngine = (options: EngineOptions) =>
  Layer.effect(
    Engine.Engine,
    Effect.map(Effect.orDie(tokenizer), (tokenizer): Engine.Service => ({
      models: [{ model_name: baseModel, max_context_length: 2048 }],
      scoring: Engine.scoringOptions,
      createModel: unsupported,
      createSampler: () => Effect.succeed({ sample: (request) => sample(tokenizer, options, request) })
    }))
  )

/** Starts a service, and returns its URL and what it holds. */
export const listen = (
  options: EngineOptions & {
    readonly server?: Omit<NodeServer.Options, "openAi"> | undefined
    /** in place of the scripted one */
    readonly engine?: Layer.Layer<Engine.Engine> | undefined
    readonly onCompletion?: NonNullable<NodeServer.Options["openAi"]>["onCompletion"]
  }
) =>
  Effect.gen(function* () {
    const formats = yield* ChatFormats.make({
      tokenizerOf: () => tokenizer,
      rendererOf: () => (options.engine === undefined ? "qwen3_instruct" : undefined)
    })
    const context = yield* Layer.build(
      NodeServer.layer({ ...options.server, openAi: { formats, onCompletion: options.onCompletion } }).pipe(
        Layer.provide([options.engine ?? layerEngine(options), CheckpointStore.layerMemory, Store.layerMemory])
      )
    )
    return {
      url: yield* Effect.provide(NodeServer.baseUrl, context),
      service: Context.get(context, TinkerService.TinkerService)
    }
  })

/** A sampling client of such a service. */
export const samplerOf = (options: Parameters<typeof listen>[0] & { readonly model?: string | undefined }) =>
  Effect.gen(function* () {
    const { url } = yield* listen(options)
    const client = ServiceClient.layer({ apiKey: Redacted.make("tml-key"), baseUrl: url }).pipe(
      Layer.provide(NodeHttpClient.layer)
    )
    const service = Context.get(yield* Layer.build(client), ServiceClient.ServiceClient)
    return yield* service.createSamplingClient({ base_model: options.model ?? baseModel })
  })
