/** Base models for the embedded service, as `--model-dir` names them. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"

/** @internal */
export interface ModelDirectory {
  readonly name: string
  readonly directory: string
}

/** Parses `NAME=DIRECTORY`, or a directory whose last part is the name. */
const parse = Effect.fnUntraced(function* (text: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const at = text.indexOf("=")
  const directory = path.resolve(at < 0 ? text : text.slice(at + 1))
  const name = at < 0 ? path.basename(directory) : text.slice(0, at)
  if (!(yield* Effect.orElseSucceed(fs.exists(path.join(directory, "config.json")), () => false))) {
    return yield* new CliError({
      title: `${directory} is not a model directory`,
      details: "Give a Hugging Face model directory, with config.json, tokenizer.json and model.safetensors"
    })
  }
  return { name, directory } satisfies ModelDirectory
})

/** @internal */
export const directories = (given: ReadonlyArray<string>) => Effect.forEach(given, parse)
