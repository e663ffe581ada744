/** Base models for the embedded service, as `--model-dir` and `--model` name them. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError } from "../errors/cliError.ts"

/** @internal */
export interface ModelDirectory {
  readonly name: string
  /** or a GGUF file */
  readonly directory: string
}

const isGguf = (path: string): boolean => path.endsWith(".gguf")

/** Whether there is a GGUF file, or a directory with a `config.json`. */
const isModel = Effect.fnUntraced(function* (location: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const sign = isGguf(location) ? location : path.join(location, "config.json")
  return yield* Effect.orElseSucceed(fs.exists(sign), () => false)
})

/** Parses `NAME=LOCATION`, or a location whose last part is the name: a directory or a GGUF file. */
const parse = Effect.fnUntraced(function* (text: string) {
  const path = yield* Path.Path
  const at = text.indexOf("=")
  const directory = path.resolve(at < 0 ? text : text.slice(at + 1))
  const name = at < 0 ? path.basename(directory, ".gguf") : text.slice(0, at)
  if (!(yield* isModel(directory))) {
    return yield* new CliError({
      title: `${directory} is not a model`,
      details:
        "Give a Hugging Face model directory, with config.json, tokenizer.json and model.safetensors, or a file that " +
        "ends with .gguf"
    })
  }
  return { name, directory } satisfies ModelDirectory
})

/** @internal */
export const directories = (given: ReadonlyArray<string>) => Effect.forEach(given, parse)

/** The model that `--model` locates in the file system, if it does not name one that is offered. @internal */
export const located = Effect.fnUntraced(function* (requested: Option.Option<string>) {
  if (Option.isNone(requested)) return Option.none<ModelDirectory>()
  const path = yield* Path.Path
  const isLocated = isGguf(requested.value) || (yield* isModel(path.resolve(requested.value)))
  return isLocated ? Option.some(yield* parse(requested.value)) : Option.none<ModelDirectory>()
})
