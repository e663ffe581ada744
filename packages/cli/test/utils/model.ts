/** Runs the commands that train and sample, with a base model and its tokenizer. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory } from "./fixtures.ts"
import { Service, tokenizerDirectory } from "./service.ts"
import { type Options, run } from "./tinker.ts"

const records = Array.from({ length: 20 }, (_, i) =>
  JSON.stringify(
    i % 2 === 0
      ? { prompt: `say ${i}:`, completion: " abab" }
      : {
          messages: [
            { role: "user", content: `say ${i}` },
            { role: "assistant", content: "abab" }
          ]
        }
  )
).join("\n")

/** A directory with the training data `data.jsonl`. */
export const dataDirectory = Effect.tap(directory, (path) =>
  Effect.sync(() => writeFileSync(join(path, "data.jsonl"), records))
)

/** The environment of the test service, with a base model and its tokenizer. */
export const env = Effect.flatMap(Service, (service) =>
  Effect.map(service.models, ([model]) => ({
    ...service.env,
    TINKER_BASE_MODEL: model,
    TINKER_TOKENIZER: tokenizerDirectory
  }))
)

export const tinker = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.flatMap(env, (env) => run(args, { ...options, env }))
