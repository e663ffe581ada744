/** Finds the directory with the tokenizer of a model: one that was given, or a download of the hub. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { isPath } from "../gguf/paths.ts"
import type { HubError, Ref, Snapshot } from "../hub/model.ts"
import { TokenizerError } from "../tokenizer/model.ts"
import { isPrivate, select } from "./select.ts"

/** Directories by `tokenizer_id` or model name. */
type Directories = { readonly [name: string]: string }

const givenDirectory = (directories: Directories, repo: string, modelName: string): string | undefined => {
  if (Object.hasOwn(directories, repo)) return directories[repo]
  return Object.hasOwn(directories, modelName) ? directories[modelName] : undefined
}

/** Fails if a directory, or a GGUF file, that a service names is not on this machine. */
const checkDirectory = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const isFile = isPath(directory)
    const sign = isFile ? directory : path.join(directory, "tokenizer.json")
    if (yield* Effect.orElseSucceed(fs.exists(sign), () => false)) return directory
    const reason =
      "is the tokenizer by the word of the service, but no such directory with a tokenizer.json is on this machine: copy " +
      "it, and give the copy as an option of Tokenizers, under the name of the model"
    return yield* new TokenizerError({ path: directory, reason })
  })

/** Fails if the snapshot has no `tokenizer.json`. */
const checkSnapshot = (repo: string, { directory }: Snapshot) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const exists = yield* Effect.orElseSucceed(fs.exists(path.join(directory, "tokenizer.json")), () => true)
    if (exists) return directory
    const reason =
      "has no tokenizer.json: its tokenizer is Python code. Convert it with the Python library, and give the " +
      "directory as an option of Tokenizers"
    return yield* new TokenizerError({ path: repo, reason })
  })

/** @internal */
export const locate = (
  directories: Directories,
  tokenizerFiles: (ref: Ref) => Effect.Effect<Snapshot, HubError>,
  modelName: string,
  tokenizerId: string | undefined
): Effect.Effect<string, TokenizerError | HubError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const ref = select(modelName, tokenizerId)
    const given = givenDirectory(directories, ref.repo, modelName)
    if (given !== undefined) return given
    const { isAbsolute } = yield* Path.Path
    // a service on this machine names a directory
    if (tokenizerId !== undefined && isAbsolute(tokenizerId)) return yield* checkDirectory(tokenizerId)
    if (isPrivate(ref.repo)) {
      const reason = "is not on the Hugging Face hub: give its directory as an option of Tokenizers"
      return yield* new TokenizerError({ path: ref.repo, reason })
    }
    return yield* checkSnapshot(ref.repo, yield* tokenizerFiles(ref))
  })
