/**
 * Trains an agent as it is: a program that asks by OpenAI's client and knows nothing of training. The service captures what it
 * sampled, and a reward says how good its answer was. Here short answers are good.
 */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Agents from "@effect-tinker/cookbook/Agents"
import * as Capture from "@effect-tinker/cookbook/Capture"
import * as ChatFormats from "@effect-tinker/cookbook/ChatFormats"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import OpenAI from "openai"

const model = ModelDirectory.nanoName

/** The agent. It could be of any kind, and call tools: it only needs the URL of its model. */
const agent = async (baseURL: string, path: string, question: string) => {
  const client = new OpenAI({ baseURL, apiKey: "tml-any" })
  const { choices } = await client.chat.completions.create({
    model: path,
    messages: [{ role: "user", content: question }],
    max_completion_tokens: 32
  })
  return choices[0]?.message.content ?? ""
}

/** A service with OpenAI's protocol that tells the capture what it has sampled. */
const serve = Effect.fnUntraced(function* (capture: Capture.Capture) {
  const tokenizer = yield* Effect.flatMap(ModelDirectory.nano, (directory) => Tokenizer.fromDirectory(directory))
  const formats = yield* ChatFormats.make({ tokenizerOf: () => Effect.succeed(tokenizer) })
  const context = yield* Layer.build(
    NodeServer.layer({ openAi: { formats, onCompletion: capture.onCompletion } }).pipe(
      Layer.provide([Embedded.layerEngine(), CheckpointStore.layerMemory, Store.layerMemory])
    )
  )
  return yield* Effect.provide(NodeServer.baseUrl, context)
})

const program = Effect.gen(function* () {
  const capture = yield* Capture.make()
  const url = yield* serve(capture)
  const group = (question: string) =>
    Agents.group({
      capture,
      size: 16,
      run: ({ key, model }) =>
        Effect.map(
          Effect.promise(() => agent(`${url}/conversations/${key}/v1`, model, question)),
          (answer) => 1 - Math.min(answer.length, 40) / 40
        )
    })
  const { rows } = yield* Rl.run({
    model: { base_model: model, rank: 16, seed: 0 },
    groups: { at: () => Effect.succeed(["Who are you?", "What is this?", "How are you?"].map(group)) },
    steps: 6,
    learningRate: LearningRate.constant(2e-3),
    snapshots: "saved" // the agent samples from weights that have a path
  }).pipe(
    Effect.provide(
      ServiceClient.layer({ apiKey: Redacted.make("tml-any"), baseUrl: url }).pipe(Layer.provide(NodeHttpClient.layer))
    )
  )
  for (const row of rows) yield* Console.log(`step ${row.step}: reward ${row["env/all/reward/total"]}`)
}).pipe(Effect.scoped)

program.pipe(Effect.provide(Layer.merge(NodeContext.layer, Metrics.layerSilent)), NodeRuntime.runMain)
