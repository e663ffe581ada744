/**
 * GGUF files: their metadata, where their tensors are, and the tokenizer and chat template in the metadata.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as header from "./internal/gguf/header.ts"
import * as written from "./internal/gguf/metadata.ts"
import * as paths from "./internal/gguf/paths.ts"
import * as tokenizer from "./internal/gguf/tokenizer.ts"
import * as files from "./internal/tokenizer/files.ts"
import * as tokenizers from "./internal/tokenizer/make.ts"
import { type Service, type Source, TokenizerError } from "./internal/tokenizer/model.ts"

/**
 * The header of a file: `metadata` by key, and of each tensor its `name`, its `shape` with the outermost axis first, the
 * number `type` of its format, and its `offset` in the file in bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type Header = header.Header

/**
 * Whether a path is that of a GGUF file, by its name: it ends with `.gguf`, or it is a blob in the store of Ollama.
 *
 * @since 0.1.0
 * @category accessors
 */
export const isPath: (path: string) => boolean = paths.isPath

/**
 * Reads the header of a file. The network is not used.
 *
 * @since 0.1.0
 * @category constructors
 */
export const readHeader = (path: string): Effect.Effect<Header, TokenizerError, FileSystem.FileSystem> =>
  header.readHeader(path)

/**
 * The tokenizer in the metadata of a file: byte-level BPE, or SentencePiece's BPE (`llama`). `path` names the file in an error, which has every reason why
 * the tokenizer is not supported.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tokenizerOf = (path: string, metadata: Header["metadata"]): Effect.Effect<Service, TokenizerError> =>
  Either.match(tokenizer.toSource(metadata), {
    onLeft: (reason) => new TokenizerError({ path, reason }),
    onRight: (source) => tokenizers.make(path, source)
  })

/**
 * The tokenizer in the metadata of a file, as the contents of `tokenizer.json` and `tokenizer_config.json`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSource = (metadata: Header["metadata"]): Either.Either<Source, string> => tokenizer.toSource(metadata)

/**
 * The tokenizer and the chat templates of a directory as metadata of a file, for a model with `vocabSize` tokens: `tokenizer.*`
 * by key. Fails for a tokenizer that programs which read GGUF files would not be, with every reason.
 *
 * @since 0.1.0
 * @category conversions
 */
export const metadataOfDirectory = (
  directory: string,
  vocabSize: number
): Effect.Effect<Header["metadata"], TokenizerError, FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(files.readSource(directory), (source) =>
    Effect.mapError(
      written.fromSource(source, vocabSize),
      (reason) => new TokenizerError({ path: directory, reason: `cannot be written as GGUF: ${reason}` })
    )
  )
