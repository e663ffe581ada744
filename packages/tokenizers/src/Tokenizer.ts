/**
 * Tokenizers: text to token ids and back, special tokens, and chat templates, from the `tokenizer.json` and
 * `tokenizer_config.json` of Hugging Face. Token ids are those of the reference implementation.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Gguf from "./Gguf.ts"
import * as files from "./internal/tokenizer/files.ts"
import * as tokenizers from "./internal/tokenizer/make.ts"
import type { Service, Source, TokenizerError } from "./internal/tokenizer/model.ts"

export {
  type ChatOptions,
  ChatTemplateError,
  type EncodeOptions,
  type Message,
  type RenderedChat,
  type Service,
  type Source,
  type Span,
  type SpecialToken,
  TokenizerError
} from "./internal/tokenizer/model.ts"

/**
 * The tokenizer of a program's model.
 *
 * @since 0.1.0
 * @category tags
 */
export class Tokenizer extends Context.Tag("@effect-tinker/tokenizers/Tokenizer")<Tokenizer, Service>() {}

/**
 * A tokenizer from values in memory. Making one with 150,000 tokens blocks the event loop for about half a second.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (source: Source): Effect.Effect<Service, TokenizerError> => tokenizers.make("tokenizer", source)

/**
 * A tokenizer from a `tokenizer.json` file only. It knows no names of special tokens and no chat template, except those
 * in the given options.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromFile = Effect.fn("Tokenizer.fromFile")((file: string, options: Omit<Source, "tokenizer"> = {}) =>
  files.fromFile(file, options)
)

/**
 * The tokenizer in a model's directory, as Hugging Face lays it out: `tokenizer.json` and, if they exist,
 * `tokenizer_config.json`, `special_tokens_map.json` and `chat_template.jinja` (or the older `chat_template.json`). A path
 * that ends with `.gguf`, or in the store of Ollama, is such a file, with the tokenizer in its metadata.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDirectory = Effect.fn("Tokenizer.fromDirectory")((directory: string) =>
  Gguf.isPath(directory) ? fromGguf(directory) : files.fromDirectory(directory)
)

const fromGguf = (path: string) =>
  Effect.flatMap(Gguf.readHeader(path), ({ metadata }) => Gguf.tokenizerOf(path, metadata))
