/**
 * Fine-tunes a chat model on 20 conversations, and talks to it before and after:
 *
 *   npm run demo:chat -- --model NAME|FILE
 *
 * A name is that of a repository on the Hugging Face hub, or `ollama:NAME`; a file is a GGUF file or a model directory.
 */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Message from "@effect-tinker/cookbook/Message"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Renderer from "@effect-tinker/cookbook/Renderer"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as SupervisedExample from "@effect-tinker/cookbook/SupervisedExample"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values: given } = parseArgs({
  options: {
    model: { type: "string", default: "HuggingFaceTB/SmolLM2-135M-Instruct" },
    steps: { type: "string", default: "16" }
  }
})

const questions = ["What is the capital of France?", "What is the opposite of big?", "How are you today?"]

/** What the model answers to a question of its own. */
const answer = Effect.fnUntraced(function* (
  sampling: SamplingClient.SamplingClient,
  renderer: Renderer.Service,
  question: string
) {
  const prompt = yield* renderer.generationPrompt([{ role: "user", content: question }])
  const { sequences } = yield* sampling.sample(prompt, {
    sampling_params: { max_tokens: 48, temperature: 0, stop: renderer.stop }
  })
  const { message } = yield* renderer.parse(sequences[0]?.tokens ?? [])
  return typeof message.content === "string" ? message.content.trim() : JSON.stringify(message.content)
})

const talk = Effect.fnUntraced(function* (
  title: string,
  sampling: SamplingClient.SamplingClient,
  renderer: Renderer.Service
) {
  yield* Console.log(`\n${title}`)
  for (const question of questions) {
    yield* Console.log(`  you:   ${question}\n  model: ${yield* answer(sampling, renderer, question)}`)
  }
})

const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const { supported_models } = yield* service.getServerCapabilities
  const base_model = supported_models.find(({ model_name }) => model_name !== JaxEngine.nano)!.model_name!
  const untrained = yield* service.createSamplingClient({ base_model })
  const renderer = yield* Renderer.make("chat_template", yield* untrained.getTokenizer)
  yield* talk(`${base_model}, as it is`, untrained, renderer)

  const conversations = yield* Dataset.read(
    Message.Conversation,
    fileURLToPath(new URL("../data/pirate.jsonl", import.meta.url))
  )
  const examples = yield* Effect.forEach(conversations, ({ messages }) =>
    SupervisedExample.fromConversation(renderer, { messages }, { reduction: "none" })
  )
  yield* Console.log(`\ntrains on ${examples.length} conversations`)
  const { training } = yield* Supervised.run({
    model: { base_model, rank: 16, seed: 0, train_unembed: false },
    batches: Batches.make(
      examples.flatMap(({ datums }) => datums),
      { size: 10, seed: 0 }
    ),
    steps: Number(given.steps),
    learningRate: LearningRate.linear(2e-3)
  })
  yield* talk("after training", yield* training.saveWeightsAndGetSamplingClient(), renderer)
})

const MetricsLive = Metrics.layer([
  Metrics.console({ write: (text) => process.stderr.write(text), isTerminal: process.stderr.isTTY })
])

const ServiceLive = Embedded.layerServiceClient({ models: [given.model], threads: availableParallelism() })

const TokenizersLive = Tokenizers.layerConfig().pipe(Layer.provide(NodeHttpClient.layer))

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(MetricsLive, ServiceLive, TokenizersLive).pipe(Layer.provideMerge(NodeContext.layer))),
  Effect.tapError(({ message }) => Effect.sync(() => console.error(message))),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
