/**
 * An agent of the Vercel AI SDK, trained as it is: it knows nothing of training, and speaks the OpenAI protocol with a service
 * that captures its tokens. It asks for the past tense of a verb, and asks again where the answer is no word.
 */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Agents from "@effect-tinker/cookbook/Agents"
import * as Capture from "@effect-tinker/cookbook/Capture"
import * as ChatFormats from "@effect-tinker/cookbook/ChatFormats"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import { generateText, type ModelMessage } from "ai"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as agents from "./agents.ts"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

/** The agent. It would be the same with any other model. */
const agent = async (model: Parameters<typeof generateText>[0]["model"], verb: string): Promise<string> => {
  const messages: Array<ModelMessage> = [{ role: "user", content: agents.question(verb) }]
  const ask = () => generateText({ model, messages, temperature: 1, maxOutputTokens: agents.maxTokens })
  const { text } = await ask()
  if (agents.isWord(text)) return text
  messages.push({ role: "assistant", content: text }, { role: "user", content: agents.again })
  return (await ask()).text
}

/** A service on a port of this machine that captures what agents sample. */
const service = Effect.gen(function* () {
  const capture = yield* Capture.make()
  const context = yield* Effect.context<Effect.Effect.Context<typeof agents.tokenizer>>()
  const formats = yield* ChatFormats.make({ tokenizerOf: () => Effect.provide(agents.tokenizer, context) })
  const server = yield* Layer.build(
    NodeServer.layer({ openAi: { formats, onCompletion: capture.onCompletion } }).pipe(
      Layer.provide([Embedded.layerEngine(), CheckpointStore.layerMemory, Store.layerMemory])
    )
  )
  const url = yield* Effect.provide(NodeServer.baseUrl, server)
  const client = ServiceClient.layer({ apiKey: Redacted.make("tml-local"), baseUrl: url }).pipe(
    Layer.provide(NodeHttpClient.layer)
  )
  return { capture, url, client: Context.get(yield* Layer.build(client), ServiceClient.ServiceClient) }
})

/** Runs the agent in a conversation of its own. */
const run = (url: string, model: string, key: string, verb: string) => {
  const provider = createOpenAICompatible({ name: "tinker", baseURL: `${url}/conversations/${key}/v1` })
  return Effect.tryPromise({ try: () => agent(provider(model), verb), catch: (error) => error })
}

export const agentOfAiSdk: Recipe = {
  name: "agent-ai-sdk",
  group: "agents",
  nightly: "starts a service that listens, and samples one request at a time",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const { capture, client, url } = yield* service
      const { held, shown } = yield* letters.verbs({ data, full })
      const score = (model: string) => agents.score(held, (task, name) => run(url, model, name, agents.verbOf(task)))
      const trained = Effect.gen(function* () {
        const { sampler, ...model } = yield* agents.warmUp(shown, seed)
        const before = yield* score(sampler)
        const groupOf = (task: letters.Task) =>
          Agents.group({
            capture,
            size: 8,
            run: ({ key, model }) =>
              Effect.map(run(url, model, key, agents.verbOf(task)), (text) => agents.rewardOf(text, task))
          })
        const { checkpoint, rows } = yield* Rl.run({
          ...letters.settings,
          model,
          seed,
          snapshots: "saved",
          groups: { at: (step) => Effect.succeed(agents.tasksAt(shown, step, 8).map(groupOf)) },
          steps: full ? 20 : 6,
          checkpoints: {}
        })
        return { before, rows, after: yield* score(checkpoint!.sampler_path!) }
      }).pipe(Effect.provideService(ServiceClient.ServiceClient, client))
      const { after, before, rows } = yield* trained
      const [least, gain] = full ? [0.55, 0.15] : [0.45, 0.05]
      const passed = after >= least && after - before >= gain && letters.divergence(rows) < 1e-4
      return { before, after, line: `right words ≥ ${least}, gain ≥ ${gain}, |KL| < 1e-4`, passed }
    })
}
