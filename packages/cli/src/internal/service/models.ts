/** Base models for the embedded service, as `--model-dir` and `--model` name them. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as Ollama from "@effect-tinker/tokenizers/Ollama"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { CliError } from "../errors/cliError.ts"

/** @internal */
export interface ModelDirectory {
  readonly name: string
  /** or a GGUF file */
  readonly directory: string
}

/** Whether there is a GGUF file, or a directory with a `config.json`. */
const isModel = Effect.fnUntraced(function* (location: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const sign = Gguf.isPath(location) ? location : path.join(location, "config.json")
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

/** The model of the store of Ollama. Its name has no colon, which means something in paths of checkpoints. */
const fromOllama = (name: string) =>
  Ollama.find(name).pipe(
    Effect.map((directory): ModelDirectory => ({ name: name.replaceAll(":", "-"), directory })),
    Effect.mapError((error) => new CliError({ title: "The model cannot be used", details: error.message }))
  )

/** The model of a repository on the Hugging Face hub, from the cache or downloaded. */
const fromHub = (repo: string) =>
  Effect.flatMap(Hub.Hub, ({ modelFiles }) => modelFiles({ repo })).pipe(
    Effect.map(({ directory }): ModelDirectory => ({ name: repo, directory })),
    Effect.provide(Hub.layerConfig().pipe(Layer.provide(NodeHttpClient.layer)))
  )

/**
 * The model that `--model` locates: a path, `ollama:NAME`, or the name of a repository on the hub, such as
 * `organisation/name`. None if it names a model that the service has anyway.
 *
 * @internal
 */
export const located = Effect.fnUntraced(function* (requested: Option.Option<string>, offered: ReadonlyArray<string>) {
  if (Option.isNone(requested) || offered.includes(requested.value)) return Option.none<ModelDirectory>()
  const ofOllama = Ollama.nameOf(requested.value)
  if (ofOllama !== undefined) return Option.some(yield* fromOllama(ofOllama))
  const path = yield* Path.Path
  const isLocated = Gguf.isPath(requested.value) || (yield* isModel(path.resolve(requested.value)))
  if (isLocated) return Option.some(yield* parse(requested.value))
  return /^[\w.-]+\/[\w.-]+$/.test(requested.value)
    ? Option.some(yield* fromHub(requested.value))
    : Option.none<ModelDirectory>()
})

/** The models that `tinker serve --model` adds to the one that ships with the engine. Fails if it locates none. @internal */
export const served = Effect.fnUntraced(function* (requested: Option.Option<string>, shipped: string) {
  const found = yield* located(requested, [shipped])
  if (Option.isSome(found)) return [found.value]
  return Option.isNone(requested) || requested.value === shipped ? [] : [yield* parse(requested.value)]
})
