/**
 * Models in the store of Ollama on this machine. They are GGUF files, under names of their own.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import * as store from "./internal/ollama/store.ts"
import type { TokenizerError } from "./internal/tokenizer/model.ts"

const prefix = "ollama:"

/**
 * The name of the model in a text such as `ollama:llama3.2:1b`; `undefined` for texts without the prefix.
 *
 * @since 0.1.0
 * @category accessors
 */
export const nameOf = (text: string): string | undefined =>
  text.startsWith(prefix) ? text.slice(prefix.length) : undefined

/**
 * The path of the GGUF file of a model, by its name in Ollama: `model`, `model:tag`, `user/model:tag` or
 * `registry/user/model:tag`. The store is in `OLLAMA_MODELS`, by default in `.ollama/models` of the home directory. Fails
 * if the model is not there, with the command that gets it. The network is not used.
 *
 * @since 0.1.0
 * @category accessors
 */
export const find: (name: string) => Effect.Effect<string, TokenizerError, FileSystem.FileSystem | Path.Path> =
  store.find
