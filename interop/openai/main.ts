/** Runs OpenAI's client for Python, unmodified, against the OpenAI protocol of this service, over the shipped model. */
import * as ChatFormats from "@effect-tinker/cookbook/ChatFormats"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"
import { inEnvironment, prepare, run } from "../python.ts"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const environment = path(".venv")
const key = "tml-interop"

const tokenizer = Effect.flatMap(ModelDirectory.nano, (directory) => Tokenizer.fromDirectory(directory))

/** Succeeds with whether no step failed. */
export const main = Effect.gen(function* () {
  const reason = yield* prepare(environment, "the client of OpenAI", ["openai>=2"])
  if (reason !== undefined) {
    yield* Console.log(`skipped: ${reason}`)
    return true
  }
  const formats = yield* ChatFormats.make({ tokenizerOf: () => Effect.provide(tokenizer, NodeContext.layer) })
  const server = NodeServer.layer({ apiKeys: [Redacted.make(key)], openAi: { formats } }).pipe(
    Layer.provide([JaxEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory])
  )
  const code = yield* Effect.gen(function* () {
    const url = yield* NodeServer.baseUrl
    return yield* run(inEnvironment(environment, "python"), path("check.py"), `${url}/v1`, key)
  }).pipe(Effect.provide(server))
  return code === 0
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
