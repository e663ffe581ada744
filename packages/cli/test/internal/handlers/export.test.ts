import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { directory } from "../../utils/fixtures.ts"
import { layer as ServiceLive, Service } from "../../utils/service.ts"
import { type Options, run } from "../../utils/tinker.ts"

const base = fileURLToPath(new URL("../../../../engine/test/fixtures/tiny-llama", import.meta.url))

const tinker = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.flatMap(Service, ({ env }) => run(args, { ...options, env }))

const filled = (shape: readonly [number, number], value: number) => ({
  shape,
  data: new Float32Array(shape[0] * shape[1]).fill(value)
})

/** Writes an adapter that adds 0.25 to every value of a matrix of tiny-llama. */
const writeAdapter = (parent: string, settings: object) => {
  const path = join(parent, "adapter")
  mkdirSync(path)
  const config = { peft_type: "LORA", r: 1, lora_alpha: 1, ...settings }
  writeFileSync(join(path, "adapter_config.json"), JSON.stringify(config))
  const name = "base_model.model.model.layers.0.self_attn.q_proj"
  const tensors = { [`${name}.lora_A.weight`]: filled([1, 48], 0.5), [`${name}.lora_B.weight`]: filled([48, 1], 0.5) }
  writeFileSync(join(path, "adapter_model.safetensors"), SafeTensors.encode(tensors, {}))
  return path
}

const firstValue = (path: string) =>
  Effect.flatMap(ModelDirectory.open(path), ModelDirectory.weights).pipe(
    Effect.map((weights) => weights["model.layers.0.self_attn.q_proj.weight"]!.data[0]!),
    Effect.provide(NodeContext.layer)
  )

layer(ServiceLive, { excludeTestServices: true })("tinker export", (it) => {
  it.scoped("writes the adapter of a checkpoint, and nothing over what is there", () =>
    Effect.gen(function* () {
      const { train } = yield* Service
      const checkpoint = `tinker://${yield* train()}/sampler_weights/final`
      const out = join(yield* directory, "deep", "adapter")
      const args = ["export", checkpoint, "--out", out]
      const first = yield* tinker(["-f", "json", ...args])
      assert.strictEqual(first.code, 0, first.stderr)
      assert.deepStrictEqual(JSON.parse(first.stdout), { checkpoint, format: "peft", out })
      const files = ["adapter_config.json", "adapter_model.safetensors"]
      assert.includeMembers(readdirSync(out), files)
      writeFileSync(join(out, "mine.txt"), "")
      const again = yield* tinker(args)
      assert.strictEqual(again.code, 1)
      assert.include(again.stderr, `${out} exists already. Use --force to replace it`)
      assert.include(readdirSync(out), "mine.txt")
      assert.strictEqual((yield* tinker([...args, "--force"])).code, 0)
      assert.sameMembers(
        readdirSync(out).filter((name) => files.includes(name) || name === "mine.txt"),
        files
      )
    })
  )

  it.scoped("merges an adapter into the base model that it names, or that is given", () =>
    Effect.gen(function* () {
      const parent = yield* directory
      const adapter = writeAdapter(parent, { base_model_name_or_path: base })
      const model = join(parent, "model")
      const written = yield* tinker(["export", adapter, "--format", "safetensors", "--out", model])
      assert.strictEqual(written.code, 0, written.stderr)
      assert.strictEqual(written.stdout, `Wrote ${adapter} as safetensors to ${model}\n`)
      // in bfloat16
      assert.approximately(yield* firstValue(model), (yield* firstValue(base)) + 0.25, 2e-3)
      const gguf = join(parent, "model.gguf")
      const options = ["--format", "gguf", "--type", "q8_0", "--base", base, "--out", gguf]
      const file = yield* tinker(["export", adapter, ...options])
      assert.strictEqual(file.code, 0, file.stderr)
      assert.approximately(yield* firstValue(gguf), (yield* firstValue(base)) + 0.25, 5e-3)
    })
  )

  it.scoped("refuses what contradicts itself with exit code 2, and what is not there with 1, and writes nothing", () =>
    Effect.gen(function* () {
      const parent = yield* directory
      const adapter = writeAdapter(parent, {})
      const out = join(parent, "out")
      const refused = (args: ReadonlyArray<string>) => tinker(["export", adapter, "--out", out, ...args])
      const wrong = [
        [["--type", "f16"], /--type is for --format gguf/],
        [["--format", "gguf"], /give a path that ends with \.gguf/],
        [["--base", base], /--base is for merged models/]
      ] as const
      for (const [args, message] of wrong) {
        const { code, stderr } = yield* refused(args)
        assert.strictEqual(code, 2, stderr)
        assert.match(stderr, message)
      }
      const nameless = yield* refused(["--format", "safetensors"])
      assert.strictEqual(nameless.code, 1)
      assert.match(nameless.stderr, /The adapter names no base model\. Set --base/)
      const missing = yield* tinker(["export", "tinker://none/sampler_weights/final", "--out", out])
      assert.strictEqual(missing.code, 1)
      assert.match(missing.stderr, /none/)
      assert.isFalse(existsSync(out))
    })
  )
})
