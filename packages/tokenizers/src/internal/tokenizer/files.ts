/** Reads the files of a tokenizer. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { isRecord } from "./config.ts"
import { make } from "./make.ts"
import { type Service, type Source, TokenizerError } from "./model.ts"

const readText = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* fs
      .readFileString(path)
      .pipe(Effect.mapError((cause) => new TokenizerError({ path, reason: "cannot be read", cause })))
  })

const readJson = (path: string) =>
  Effect.flatMap(readText(path), (text) =>
    Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new TokenizerError({ path, reason: "is not JSON", cause })
    })
  )

const readIfExists = <A, E, R>(path: string, read: (path: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.orElseSucceed(fs.exists(path), () => false)
    return exists ? yield* read(path) : undefined
  })

/** @internal */
export const fromFile = (
  file: string,
  options: Omit<Source, "tokenizer">
): Effect.Effect<Service, TokenizerError, FileSystem.FileSystem> =>
  Effect.flatMap(readJson(file), (tokenizer) => make(file, { ...options, tokenizer }))

/** The chat template in its file, or in the JSON file of older models. */
const readChatTemplate = (directory: string) =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const jinja = yield* readIfExists(join(directory, "chat_template.jinja"), readText)
    if (jinja !== undefined) return jinja
    const json = yield* readIfExists(join(directory, "chat_template.json"), readJson)
    return isRecord(json) && typeof json["chat_template"] === "string" ? json["chat_template"] : undefined
  })

/** The contents of the files in a directory. @internal */
export const readSource = (
  directory: string
): Effect.Effect<Source, TokenizerError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    return {
      tokenizer: yield* readJson(join(directory, "tokenizer.json")),
      chatTemplate: yield* readChatTemplate(directory),
      config: yield* readIfExists(join(directory, "tokenizer_config.json"), readJson),
      specialTokensMap: yield* readIfExists(join(directory, "special_tokens_map.json"), readJson)
    }
  })

/** @internal */
export const fromDirectory = (
  directory: string
): Effect.Effect<Service, TokenizerError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    return yield* make(join(directory, "tokenizer.json"), yield* readSource(directory))
  })
