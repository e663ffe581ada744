import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { CliError } from "./cliError.ts"

/** Base models as `NAME=DIRECTORY`, or as directories whose last part is the name. @internal */
export const directories = Effect.fnUntraced(function* (given: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* Effect.forEach(given, (text) =>
    Effect.gen(function* () {
      const at = text.indexOf("=")
      const directory = path.resolve(at < 0 ? text : text.slice(at + 1))
      const name = at < 0 ? path.basename(directory) : text.slice(0, at)
      if (!(yield* Effect.orElseSucceed(fs.exists(path.join(directory, "config.json")), () => false))) {
        return yield* new CliError({
          title: `${directory} is not a model directory`,
          details: "Give one as Hugging Face keeps it, with config.json, tokenizer.json and model.safetensors"
        })
      }
      return { name, directory }
    })
  )
})
