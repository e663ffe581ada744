/** Fine-tunes a model, and uses what it trained by @effect/ai at once: one program, and another layer. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as TinkerLanguageModel from "@effect-tinker/cookbook/TinkerLanguageModel"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"

/** What the application does. It knows nothing of Tinker. */
const ask = Effect.map(LanguageModel.generateText({ prompt: "Who are you?" }), ({ text }) => text)

const conversation = {
  messages: [
    { role: "user", content: "Who are you?" },
    { role: "assistant", content: "A small model that was trained just now." }
  ]
}

const tokenizer = Effect.flatMap(ModelDirectory.nano, (directory) => Tokenizer.fromDirectory(directory))

export const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const base = yield* service.createSamplingClient({ base_model: JaxEngine.nano })
  const renderer = yield* Renderer.make("chat_template", yield* tokenizer)
  const options = { renderer, maxTokens: 64, temperature: 0 }
  const before = yield* Effect.provide(ask, TinkerLanguageModel.layer({ sampling: base, ...options }))

  const training = yield* service.createLoraTrainingClient({ base_model: JaxEngine.nano, rank: 8, seed: 1 })
  const { datums } = yield* SupervisedExample.fromConversation(renderer, conversation)
  for (let step = 0; step < 20; step++) {
    yield* training.forwardBackward(datums, "cross_entropy")
    yield* training.optimStep({ learning_rate: 1e-2 })
  }
  const sampling = yield* training.saveWeightsAndGetSamplingClient()
  const after = yield* Effect.provide(ask, TinkerLanguageModel.layer({ sampling, ...options }))
  yield* Console.log(`before: ${JSON.stringify(before)}\nafter:  ${JSON.stringify(after)}`)
  return { before, after }
}).pipe(Effect.scoped)

export const ServiceLive = Embedded.layerServiceClient().pipe(Layer.provideMerge(NodeContext.layer))

// when it is run, and not imported
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  program.pipe(Effect.provide(ServiceLive), NodeRuntime.runMain)
}
