/**
 * Measures the engine alone at about 1, 10 and 100 million parameters, on each executor and on one thread, beside JAX on
 * one thread: training at rank 16, sampling 8 sequences, the peak memory of the process, and the time from its start to
 * the end of the first step. The smallest model is the shipped one; the others have random weights.
 *
 * JAX and each executor run in separate processes, pinned to one core where the system has `taskset`. They take turns,
 * one repetition each. Seconds are processor time over all threads of the process, so that other load on the machine
 * counts little. A figure is the median of its repetitions, and its ratio is to JAX. Python with JAX is found in
 * packages/engine/reference/.venv or by the variable PYTHON; without it, figures have no ratio.
 *
 * `ENGINE_SIZES=1M,10M` and `ENGINE_EXECUTORS=native` choose sizes and executors. At 100M, WebAssembly takes minutes.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as Engine from "@effect-tinker/server/Engine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { type Baseline, figure } from "./figure.ts"

const rank = 16
const sequences = 8
const promptLength = 32
const sampled = 64

type Executor = "native" | "wasm"

interface Size {
  readonly name: string
  /** the contents of a config.json; the shipped model if absent */
  readonly config?: { readonly [name: string]: number }
  readonly repetitions: number
  /** sequences of 128 tokens in a step of training */
  readonly batch: { readonly [executor in Executor | "jax"]: number }
  readonly sampled: { readonly [executor in Executor | "jax"]: number }
}

const length = 128

const sizes: ReadonlyArray<Size> = [
  {
    name: "1M",
    repetitions: 25,
    batch: { native: 8, wasm: 8, jax: 8 },
    sampled: { native: sampled, wasm: sampled, jax: sampled }
  },
  {
    name: "10M",
    config: {
      vocab_size: 1024,
      hidden_size: 384,
      intermediate_size: 1024,
      num_hidden_layers: 6,
      num_attention_heads: 6,
      num_key_value_heads: 2,
      head_dim: 64
    },
    repetitions: 5,
    batch: { native: 8, wasm: 8, jax: 8 },
    sampled: { native: sampled, wasm: sampled, jax: sampled }
  },
  {
    name: "100M",
    config: {
      vocab_size: 32_000,
      hidden_size: 768,
      intermediate_size: 2048,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      num_key_value_heads: 4,
      head_dim: 64
    },
    repetitions: 3,
    // a small batch is enough for a rate that is slow to measure
    batch: { native: 8, wasm: 1, jax: 8 },
    sampled: { native: sampled, wasm: 8, jax: sampled }
  }
]

/** Writes a Qwen3 model with random weights, and returns its directory. */
const generate = (config: { readonly [name: string]: number }): string => {
  const directory = mkdtempSync(join(tmpdir(), "effect-tinker-bench-"))
  const json = {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    max_position_embeddings: 1024,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    eos_token_id: 0,
    ...config
  }
  writeFileSync(join(directory, "config.json"), JSON.stringify(json))
  const size = (name: string) => config[name]!
  const [d, f, hd] = [size("hidden_size"), size("intermediate_size"), size("head_dim")]
  const [q, kv] = [size("num_attention_heads") * hd, size("num_key_value_heads") * hd]
  const shapes: Record<string, ReadonlyArray<number>> = {
    "model.embed_tokens.weight": [size("vocab_size"), d],
    "model.norm.weight": [d]
  }
  for (let layer = 0; layer < size("num_hidden_layers"); layer++) {
    const prefix = `model.layers.${layer}`
    Object.assign(shapes, {
      [`${prefix}.input_layernorm.weight`]: [d],
      [`${prefix}.post_attention_layernorm.weight`]: [d],
      [`${prefix}.self_attn.q_norm.weight`]: [hd],
      [`${prefix}.self_attn.k_norm.weight`]: [hd],
      [`${prefix}.self_attn.q_proj.weight`]: [q, d],
      [`${prefix}.self_attn.k_proj.weight`]: [kv, d],
      [`${prefix}.self_attn.v_proj.weight`]: [kv, d],
      [`${prefix}.self_attn.o_proj.weight`]: [d, q],
      [`${prefix}.mlp.gate_proj.weight`]: [f, d],
      [`${prefix}.mlp.up_proj.weight`]: [f, d],
      [`${prefix}.mlp.down_proj.weight`]: [d, f]
    })
  }
  let offset = 0
  const header: Record<string, unknown> = {}
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = 4 * shape.reduce((a, b) => a * b, 1)
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + bytes] }
    offset += bytes
  }
  const text = JSON.stringify(header)
  const padded = Buffer.from(text + " ".repeat((8 - (text.length % 8)) % 8))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(padded.length))
  const file = openSync(join(directory, "model.safetensors"), "w")
  writeSync(file, Buffer.concat([prefix, padded]))
  let state = 1
  for (const [name, shape] of Object.entries(shapes)) {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1))
    if (name.endsWith("norm.weight")) values.fill(1)
    else {
      const width = 2 / Math.sqrt(shape[1]!)
      for (let i = 0; i < values.length; i++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
        values[i] = (state / 2 ** 32) * width
      }
    }
    writeSync(file, new Uint8Array(values.buffer))
  }
  closeSync(file)
  return directory
}

const adam = { learning_rate: 1e-4, beta1: 0.9, beta2: 0.95, eps: 1e-12, weight_decay: 0, grad_clip_norm: 0 }

const seconds = ({ system, user }: NodeJS.CpuUsage): number => (system + user) / 1e6

/** Responds to lines on standard input, as reference/bench_engine.py does. */
const serve = (executor: Executor, directory: string | undefined, batch: number, sampled: number) =>
  Effect.gen(function* () {
    const engine = yield* Engine.Engine
    const base_model = directory === undefined ? JaxEngine.nano : "bench/random"
    const vocabulary = (yield* ModelDirectory.open(directory ?? (yield* ModelDirectory.nano))).config.vocab_size
    const data = Array.from({ length: batch }, (_, i) => {
      const tokens = Int32Array.from({ length: length + 1 }, (_, j) => (3 + i * 31 + j * 7) % vocabulary)
      return Datum.forLoss("cross_entropy", {
        model_input: tokens.subarray(0, -1),
        loss_fn_inputs: { target_tokens: tokens.subarray(1), weights: new Float32Array(length).fill(1) }
      })
    })
    const model = yield* engine.createModel({
      base_model,
      lora_config: { rank, seed: 0, train_attn: true, train_mlp: true, train_unembed: true }
    })
    const train = Effect.andThen(
      model.forwardBackward({ data, loss_fn: "cross_entropy", loss_fn_config: {} }),
      model.optimStep(adam)
    )
    yield* train
    console.log(JSON.stringify({ name: executor, first: seconds(process.cpuUsage()) }))

    const sample = yield* Effect.cached(
      Effect.gen(function* () {
        const sampler = yield* engine.createSampler({ base_model, adapter: yield* model.adapter })
        return sampler.sample({
          prompt: ModelInput.fromTokens(Array.from({ length: promptLength }, (_, i) => 3 + i)),
          num_samples: sequences,
          sampling_params: { max_tokens: sampled, temperature: 1, top_k: -1, top_p: 1, seed: 0, stop: [] },
          prompt_logprobs: false,
          topk_prompt_logprobs: 0
        })
      })
    )
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    for (;;) {
      const line = yield* Effect.promise(() => lines.next())
      if (line.done === true) return
      if (line.value === "memory") console.log(process.resourceUsage().maxRSS / 1024)
      else {
        const start = process.cpuUsage()
        yield* line.value === "train" ? train : Effect.flatten(sample)
        console.log(seconds(process.cpuUsage(start)))
      }
    }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      JaxEngine.layer({
        executor,
        ...(directory === undefined ? {} : { models: [{ name: "bench/random", directory }] })
      })
    ),
    Effect.provide(NodeContext.layer)
  )

interface Contestant {
  readonly name: string
  readonly first: number
  readonly ask: (line: string) => Promise<number>
  readonly end: () => void
}

const pinned = spawnSync("taskset", ["--version"]).status === 0

/** Starts a process that responds to lines; `undefined` if it does not start. */
const start = async (command: string, args: ReadonlyArray<string>, quiet: boolean): Promise<Contestant | undefined> => {
  const child = spawn(pinned ? "taskset" : command, pinned ? ["-c", "1", command, ...args] : args, {
    stdio: ["pipe", "pipe", quiet ? "ignore" : "inherit"]
  })
  child.on("error", () => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string | undefined> => {
    const line = await lines.next()
    return line.done === true ? undefined : line.value
  }
  const hello = await next()
  if (hello === undefined) return undefined
  const { first, name } = JSON.parse(hello) as { name: string; first: number }
  return {
    name,
    first,
    ask: async (line) => {
      child.stdin.write(`${line}\n`)
      const reply = await next()
      if (reply === undefined) throw new Error(`${name} ended`)
      return Number(reply)
    },
    end: () => child.stdin.end()
  }
}

const reference = fileURLToPath(new URL("../../packages/engine/reference/", import.meta.url))
const python = process.env["PYTHON"] ?? [`${reference}.venv/bin/python`].find(existsSync) ?? "python3"

const startJax = (directory: string, size: Size) =>
  start(
    python,
    [
      `${reference}bench_engine.py`,
      ...["--model", directory, "--batch", size.batch.jax, "--length", length, "--rank", rank].map(String),
      ...["--sequences", sequences, "--prompt", promptLength, "--sampled", size.sampled.jax].map(String)
    ],
    true
  )

const startEngine = (executor: Executor, directory: string | undefined, size: Size) =>
  start(
    process.execPath,
    [
      ...process.execArgv,
      fileURLToPath(import.meta.url),
      executor,
      directory ?? "",
      String(size.batch[executor]),
      String(size.sampled[executor])
    ],
    false
  )

const median = (values: ReadonlyArray<number>): number =>
  values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)]!

const nano = fileURLToPath(new URL("../../packages/engine/models/nano/", import.meta.url))

const compare = async (size: Size, executors: ReadonlyArray<Executor>, print: (line: string) => void) => {
  const directory = size.config === undefined ? undefined : generate(size.config)
  const contestants: Array<readonly [Executor | "jax", Contestant]> = []
  try {
    for (const kind of ["jax", ...executors] as const) {
      const found = await (kind === "jax" ? startJax(directory ?? nano, size) : startEngine(kind, directory, size))
      if (found === undefined) print(`${kind}: skipped: it does not run here`)
      else contestants.push([kind, found])
    }
    const measured = new Map<string, { training: number; sampling: number; memory: number; first: number }>()
    const times = new Map<string, Array<number>>()
    for (const task of ["train", "sample"]) {
      for (let i = 0; i <= size.repetitions; i++) {
        for (const [kind, { ask }] of contestants) {
          const taken = await ask(task)
          // the first run also compiles
          if (i > 0) times.set(`${task} ${kind}`, [...(times.get(`${task} ${kind}`) ?? []), taken])
        }
      }
    }
    for (const [kind, { ask, first }] of contestants) {
      measured.set(kind, {
        training: (size.batch[kind] * length) / median(times.get(`train ${kind}`)!),
        sampling: (sequences * size.sampled[kind]) / median(times.get(`sample ${kind}`)!),
        memory: await ask("memory"),
        first
      })
    }
    const jax = measured.get("jax")
    const jaxName = contestants.find(([kind]) => kind === "jax")?.[1].name ?? "jax"
    const units = { training: "tokens/s", sampling: "tokens/s", memory: "MB", first: "s" } as const
    for (const [kind, found] of measured) {
      for (const name of ["training", "sampling", "memory", "first"] as const) {
        const baseline: Baseline | undefined =
          jax === undefined || kind === "jax" ? undefined : { name: jaxName, value: jax[name] }
        const label = name === "first" ? "first-step" : name
        print(figure(`engine.${size.name}.${kind}.${label}`, found[name], units[name], baseline))
      }
    }
  } finally {
    for (const [, { end }] of contestants) end()
    if (directory !== undefined) rmSync(directory, { recursive: true })
  }
}

const chosen = <A extends string>(variable: string, all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const wanted = process.env[variable]?.split(",")
  return wanted === undefined ? all : all.filter((name) => wanted.includes(name))
}

export const main = async (print: (line: string) => void = console.log): Promise<void> => {
  const executors = chosen<Executor>("ENGINE_EXECUTORS", ["native", "wasm"])
  const names = chosen(
    "ENGINE_SIZES",
    sizes.map(({ name }) => name)
  )
  for (const size of sizes) if (names.includes(size.name)) await compare(size, executors, print)
}

export default main

const [, script, executor, directory, batch, tokens] = process.argv
if (script === fileURLToPath(import.meta.url) && (executor === "native" || executor === "wasm")) {
  await Effect.runPromise(serve(executor, directory === "" ? undefined : directory, Number(batch), Number(tokens)))
}
