/**
 * Prints the peak memory of a process that trains on one sequence, scores it, and continues it, with a model of
 * hidden size 64.
 *
 *   node --conditions=effect-tinker-source --import tsx packages/engine/test/longRuns/peakMemory.ts TOKENS EXECUTOR
 *
 * With several numbers of tokens, separated by commas, it starts a process for each, and fails if memory grows by more
 * than a factor of 2.2 when the number doubles.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as JaxEngine from "../../src/JaxEngine.ts"

const config = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_act: "silu",
  vocab_size: 256,
  hidden_size: 64,
  intermediate_size: 192,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 16_384,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: true
}

const shapes = (): Record<string, ReadonlyArray<number>> => {
  const { head_dim, hidden_size, intermediate_size, num_attention_heads, num_key_value_heads, vocab_size } = config
  const out: Record<string, ReadonlyArray<number>> = {
    "model.embed_tokens.weight": [vocab_size, hidden_size],
    "model.norm.weight": [hidden_size]
  }
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const p = `model.layers.${layer}`
    out[`${p}.input_layernorm.weight`] = [hidden_size]
    out[`${p}.post_attention_layernorm.weight`] = [hidden_size]
    out[`${p}.self_attn.q_norm.weight`] = [head_dim]
    out[`${p}.self_attn.k_norm.weight`] = [head_dim]
    out[`${p}.self_attn.q_proj.weight`] = [num_attention_heads * head_dim, hidden_size]
    out[`${p}.self_attn.k_proj.weight`] = [num_key_value_heads * head_dim, hidden_size]
    out[`${p}.self_attn.v_proj.weight`] = [num_key_value_heads * head_dim, hidden_size]
    out[`${p}.self_attn.o_proj.weight`] = [hidden_size, num_attention_heads * head_dim]
    out[`${p}.mlp.gate_proj.weight`] = [intermediate_size, hidden_size]
    out[`${p}.mlp.up_proj.weight`] = [intermediate_size, hidden_size]
    out[`${p}.mlp.down_proj.weight`] = [hidden_size, intermediate_size]
  }
  return out
}

const writeModel = (directory: string) => {
  writeFileSync(join(directory, "config.json"), JSON.stringify(config))
  const tensors: Record<string, SafeTensors.Tensor> = {}
  let state = 1
  for (const [name, shape] of Object.entries(shapes())) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
      return shape.length === 1 ? 1 : (state / 2 ** 32) * (2 / Math.sqrt(shape[1]!))
    })
    tensors[name] = { shape, data }
  }
  writeFileSync(join(directory, "model.safetensors"), SafeTensors.encode(tensors))
}

const tokensOf = (length: number) =>
  Int32Array.from({ length }, (_, i) => (3 + i * 7 + ((i * i) % 13)) % config.vocab_size)

const train = (base_model: string, length: number) =>
  Effect.gen(function* () {
    const engine = yield* Engine.Engine
    const lora_config = { rank: 8, seed: 0, train_attn: true, train_mlp: true, train_unembed: true }
    const model = yield* engine.createModel({ base_model, lora_config })
    const datum = Datum.forLoss("cross_entropy", {
      model_input: tokensOf(length),
      loss_fn_inputs: { target_tokens: tokensOf(length + 1).subarray(1), weights: new Float32Array(length).fill(1) }
    })
    yield* model.forwardBackward({ data: [datum], loss_fn: "cross_entropy", loss_fn_config: {} })
  })

const sample = (base_model: string, length: number, prompt_logprobs: boolean) =>
  Effect.gen(function* () {
    const engine = yield* Engine.Engine
    const sampler = yield* engine.createSampler({ base_model, adapter: undefined })
    yield* sampler.sample({
      prompt: ModelInput.fromTokens([...tokensOf(length)]),
      num_samples: 2,
      sampling_params: { max_tokens: 4, temperature: 1, top_k: -1, top_p: 1, seed: 0, stop: [] },
      prompt_logprobs,
      topk_prompt_logprobs: 0
    })
  })

/** In MB. */
interface Measured {
  readonly peak: number
  /** the engine's own estimate for training */
  readonly estimate: number
}

/** The output of this program is read, so nothing is logged to it. */
const services = Layer.merge(NodeContext.layer, Logger.remove(Logger.defaultLogger))

/** The number of gigabytes in the refusal of an engine that may use little more than the weights. */
const estimateOf = async (length: number, executor: "native" | "wasm", directory: string): Promise<number> => {
  const EngineLive = JaxEngine.layer({ executor, memoryBudget: 270e6, models: [{ name: "random", directory }] })
  const refused = train("random", length).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.provide(EngineLive),
    Effect.provide(services)
  )
  const { message } = await Effect.runPromise(refused)
  return 1000 * Number(/needs about ([0-9.]+) GB/.exec(message)?.[1])
}

const measure = async (length: number, executor: "native" | "wasm"): Promise<Measured> => {
  const directory = mkdtempSync(join(tmpdir(), "effect-tinker-memory-"))
  writeModel(directory)
  const run = Effect.gen(function* () {
    yield* train("random", length)
    yield* sample("random", length, true)
    yield* sample("random", length, false)
  })
  const EngineLive = JaxEngine.layer({ executor, models: [{ name: "random", directory }] })
  const program = run.pipe(Effect.scoped, Effect.provide(EngineLive), Effect.provide(services))
  const estimate = await estimateOf(length, executor, directory)
  await Effect.runPromise(program).finally(() => rmSync(directory, { recursive: true }))
  return { peak: process.resourceUsage().maxRSS / 1024, estimate }
}

const [counts = "2048", executor = "native"] = process.argv.slice(2)
const lengths = counts.split(",").map(Number)
if (lengths.length === 1) console.log(JSON.stringify(await measure(lengths[0]!, executor as "native" | "wasm")))
else {
  const measured = lengths.map((length) => {
    const child = spawnSync(process.execPath, [...process.execArgv, process.argv[1]!, String(length), executor])
    if (child.status !== 0) throw new Error(`${length} tokens: ${child.stderr.toString()}`)
    return JSON.parse(child.stdout.toString()) as Measured
  })
  measured.forEach(({ estimate, peak }, i) =>
    console.log(`${lengths[i]} tokens: ${peak.toFixed(0)} MB, estimated as ${estimate.toFixed(0)} MB`)
  )
  const grows = measured.some(
    ({ peak }, i) => i > 0 && peak / measured[i - 1]!.peak > 1.1 * (lengths[i]! / lengths[i - 1]!)
  )
  if (grows) throw new Error("memory grows faster than the number of tokens")
  const isWrong = measured.some(({ estimate, peak }) => peak > 1.2 * estimate || peak < estimate / 3)
  if (isWrong) throw new Error("the estimates are wrong")
}
