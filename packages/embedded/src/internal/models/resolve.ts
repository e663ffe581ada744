/** Finds the base models that are given by a path, or by a name in the store of Ollama or on the Hugging Face hub. */
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import type * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as Ollama from "@effect-tinker/tokenizers/Ollama"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** @internal */
export type Model = JaxEngine.BaseModel | string

/** The model of the store of Ollama. Its name has no colon, which means something in paths of checkpoints. */
const fromOllama = (name: string) =>
  Ollama.find(name).pipe(
    Effect.map((directory): JaxEngine.BaseModel => ({ name: name.replaceAll(":", "-"), directory })),
    Effect.mapError(({ path, reason }) => new ModelDirectory.ModelDirectoryError({ path, reason }))
  )

const isRepository = (text: string): boolean => /^[\w-][\w.-]*\/[\w.-]+$/.test(text) && !text.endsWith(".gguf")

/** The model of a repository, from the cache or downloaded, with the options of the environment. */
const fromHub = (repo: string) =>
  Effect.flatMap(Hub.Hub, ({ modelFiles }) => modelFiles({ repo })).pipe(
    Effect.map(({ directory }): JaxEngine.BaseModel => ({ name: repo, directory })),
    Effect.provide(Hub.layerConfig().pipe(Layer.provide(FetchHttpClient.layer))),
    Effect.mapError(
      (cause) => new ModelDirectory.ModelDirectoryError({ path: repo, reason: `cannot be fetched: ${cause.message}`, cause })
    )
  )

/** A text is a path if there is something, or if it cannot be the name of a repository. */
const resolveText = (text: string) =>
  Effect.gen(function* () {
    const ofOllama = Ollama.nameOf(text)
    if (ofOllama !== undefined) return yield* fromOllama(ofOllama)
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const isThere = yield* Effect.orElseSucceed(fs.exists(text), () => false)
    if (!isThere && isRepository(text)) return yield* fromHub(text)
    const model: JaxEngine.BaseModel = { name: path.basename(path.resolve(text), ".gguf"), directory: text }
    return model
  })

/** @internal */
export const resolve = (
  models: ReadonlyArray<Model>
): Effect.Effect<
  ReadonlyArray<JaxEngine.BaseModel>,
  ModelDirectory.ModelDirectoryError,
  FileSystem.FileSystem | Path.Path
> => Effect.forEach(models, (model) => (typeof model === "string" ? resolveText(model) : Effect.succeed(model)))
