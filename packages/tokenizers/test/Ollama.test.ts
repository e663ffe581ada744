import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Gguf from "../src/Gguf.ts"
import * as Ollama from "../src/Ollama.ts"

const digest = "ab".repeat(32)
const model = { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${digest}`, size: 4 }
const others = [
  { mediaType: "application/vnd.ollama.image.template", digest: `sha256:${"00".repeat(32)}`, size: 1 },
  { mediaType: "application/vnd.ollama.image.params", digest: `sha256:${"11".repeat(32)}`, size: 1 }
]

/** Writes a store as Ollama lays it out, with a manifest for each path below `manifests`. */
const withStore = <A, E>(
  manifests: { readonly [path: string]: unknown },
  f: (store: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>,
  { hasBlob = true, variable = "OLLAMA_MODELS" } = {}
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const given = yield* fs.makeTempDirectoryScoped()
    const store = variable === "HOME" ? path.join(given, ".ollama", "models") : given
    for (const [name, manifest] of Object.entries(manifests)) {
      const file = path.join(store, "manifests", name)
      yield* fs.makeDirectory(path.dirname(file), { recursive: true })
      yield* fs.writeFileString(file, typeof manifest === "string" ? manifest : JSON.stringify(manifest))
    }
    yield* fs.makeDirectory(path.join(store, "blobs"), { recursive: true })
    if (hasBlob) yield* fs.writeFileString(path.join(store, "blobs", `sha256-${digest}`), "GGUF")
    return yield* Effect.withConfigProvider(f(store), ConfigProvider.fromMap(new Map([[variable, given]])))
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const manifest = { schemaVersion: 2, layers: [others[0], model, others[1]] }

describe("The store of Ollama", () => {
  it("is meant by texts with its prefix alone", () => {
    assert.strictEqual(Ollama.nameOf("ollama:llama3.2:1b"), "llama3.2:1b")
    assert.isUndefined(Ollama.nameOf("ollama/llama3.2"))
  })

  it.effect("has the files of models by their names, with and without user, registry and tag", () =>
    Effect.forEach(
      [
        ["llama3.2:1b", "registry.ollama.ai/library/llama3.2/1b"],
        ["smollm2", "registry.ollama.ai/library/smollm2/latest"],
        ["someone/tiny:q4", "registry.ollama.ai/someone/tiny/q4"],
        ["hf.co/someone/tiny-GGUF:Q8_0", "hf.co/someone/tiny-GGUF/Q8_0"]
      ] as const,
      ([name, place]) =>
        withStore({ [place]: manifest }, (store) =>
          Effect.gen(function* () {
            const found = yield* Ollama.find(name)
            assert.strictEqual(found, `${store}/blobs/sha256-${digest}`)
            assert.isTrue(Gguf.isPath(found))
          })
        )
    )
  )

  it.effect("is in the home directory, unless OLLAMA_MODELS says otherwise", () =>
    withStore({ "registry.ollama.ai/library/tiny/latest": manifest }, () => Ollama.find("tiny"), { variable: "HOME" })
  )

  const reasonOf = (name: string, given: unknown, hasBlob = true) =>
    withStore(
      { "registry.ollama.ai/library/tiny/latest": given },
      () => Effect.map(Effect.flip(Ollama.find(name)), ({ reason }) => reason),
      { hasBlob }
    )

  it.effect("fails with what to do for models that are not there", () =>
    Effect.gen(function* () {
      assert.include(yield* reasonOf("other:1b", manifest), "get the model with `ollama pull other:1b`")
      assert.include(yield* reasonOf("tiny", manifest, false), "pull the model again")
    })
  )

  it.effect("fails for names and manifests that lead elsewhere", () =>
    Effect.gen(function* () {
      for (const name of ["../tiny", "a/../tiny", "tiny:../x", "a/b/c/tiny", "", "tiny:"]) {
        assert.include(yield* reasonOf(name, manifest), "is not the name of a model of Ollama", name)
      }
      const outside = { layers: [{ ...model, digest: "sha256:../../secret" }] }
      assert.include(yield* reasonOf("tiny", outside), "does not name one file of weights")
      assert.include(yield* reasonOf("tiny", { layers: others }), "does not name one file of weights")
      assert.include(yield* reasonOf("tiny", "no json"), "is not a manifest of Ollama")
      const adapter = { ...model, mediaType: "application/vnd.ollama.image.adapter" }
      assert.include(yield* reasonOf("tiny", { layers: [model, adapter] }), "an adapter or a projector")
    })
  )
})
