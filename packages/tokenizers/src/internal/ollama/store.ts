/** Finds models in the store of Ollama: a manifest a model, which names the blob with its weights. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TokenizerError } from "../tokenizer/model.ts"

const defaultRegistry = "registry.ollama.ai"
const defaultNamespace = "library"
const defaultTag = "latest"

/** A manifest is a few kilobytes. */
const mostManifestBytes = 2 ** 20

const modelMediaType = "application/vnd.ollama.image.model"
const otherWeights = ["application/vnd.ollama.image.adapter", "application/vnd.ollama.image.projector"]

const Manifest = Schema.parseJson(
  Schema.Struct({ layers: Schema.Array(Schema.Struct({ mediaType: Schema.String, digest: Schema.String })) })
)

/** The parts of `[[registry/]namespace/]model[:tag]`, from the registry to the tag; `undefined` for other texts. */
const partsOf = (name: string): ReadonlyArray<string> | undefined => {
  const at = name.lastIndexOf(":")
  const [places, tag] = at < 0 ? [name, defaultTag] : [name.slice(0, at), name.slice(at + 1)]
  const given = places.split("/")
  if (given.length > 3) return undefined
  const parts = [...[defaultRegistry, defaultNamespace].slice(0, 3 - given.length), ...given, tag]
  return parts.every((part) => /^[A-Za-z0-9_][\w.-]*$/.test(part)) ? parts : undefined
}

const directoryOfStore = Effect.gen(function* () {
  const { join, sep } = yield* Path.Path
  const home = sep === "\\" ? Config.string("USERPROFILE") : Config.string("HOME")
  return yield* Config.nonEmptyString("OLLAMA_MODELS").pipe(
    Config.orElse(() => Config.map(home, (directory) => join(directory, ".ollama", "models"))),
    Effect.orElseSucceed(() => join(".ollama", "models"))
  )
})

const readManifest = (name: string, path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const fail = (reason: string) => new TokenizerError({ path, reason })
    const exists = yield* Effect.orElseSucceed(fs.exists(path), () => false)
    if (!exists) return yield* fail(`does not exist: get the model with \`ollama pull ${name}\`, or set OLLAMA_MODELS`)
    const size = yield* Effect.mapError(fs.stat(path), () => fail("cannot be read"))
    if (Number(size.size) > mostManifestBytes) return yield* fail("is too large for a manifest of Ollama")
    const text = yield* Effect.mapError(fs.readFileString(path), () => fail("cannot be read"))
    return yield* Effect.mapError(Schema.decodeUnknown(Manifest)(text), () => fail("is not a manifest of Ollama"))
  })

/** The path of the file with the weights. @internal */
export const find = (name: string): Effect.Effect<string, TokenizerError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const parts = partsOf(name)
    if (parts === undefined) {
      const reason = "is not the name of a model of Ollama, such as llama3.2:1b or user/model:tag"
      return yield* new TokenizerError({ path: name, reason })
    }
    const store = yield* directoryOfStore
    const path = join(store, "manifests", ...parts)
    const { layers } = yield* readManifest(name, path)
    const others = layers.filter(({ mediaType }) => otherWeights.includes(mediaType))
    if (others.length > 0) {
      const reason = "names an adapter or a projector beside the model, which would not be used"
      return yield* new TokenizerError({ path, reason })
    }
    const weights = layers.filter(({ mediaType }) => mediaType === modelMediaType)
    const digest = /^sha256:([0-9a-f]{64})$/.exec(weights[0]?.digest ?? "")?.[1]
    if (weights.length !== 1 || digest === undefined) {
      return yield* new TokenizerError({ path, reason: "does not name one file of weights" })
    }
    const blob = join(store, "blobs", `sha256-${digest}`)
    return (yield* Effect.orElseSucceed(fs.exists(blob), () => false))
      ? blob
      : yield* new TokenizerError({
          path: blob,
          reason: `does not exist: pull the model again, \`ollama pull ${name}\``
        })
  })
