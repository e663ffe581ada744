/**
 * The engine alone, on the shipped model and each executor, each in a process of its own: training 64 datums of 32
 * tokens at rank 16, as the flagship example does; sampling 8 sequences of 64 tokens; the time from start to the end of
 * the first step; the most memory that the process held. One thread.
 *
 * Training is compared with the same step in JAX on one thread, where Python with JAX is at hand: in
 * packages/engine/reference/.venv, or as PYTHON says. Else the native executor is compared with WebAssembly. Steps count
 * by their median.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as Engine from "@effect-tinker/server/Engine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type Baseline, figure } from "./figure.ts"

const batch = 64
const length = 32
const rank = 16
const steps = 15
const sequences = 8
const sampled = 64

type Executor = "native" | "wasm"

interface Measured {
  /** tokens per second */
  readonly training: number
  readonly sampling: number
  /** seconds */
  readonly first: number
  /** megabytes */
  readonly memory: number
}

const median = (values: ReadonlyArray<number>): number =>
  values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)]!

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, () => (performance.now() - start) / 1000)
  })

const data = Array.from({ length: batch }, (_, i) => {
  const tokens = Int32Array.from({ length: length + 1 }, (_, j) => 3 + ((i * 31 + j * 7) % 256))
  return Datum.forLoss("cross_entropy", {
    model_input: tokens.subarray(0, -1),
    loss_fn_inputs: { target_tokens: tokens.subarray(1), weights: new Float32Array(length).fill(1) }
  })
})

const adam = { learning_rate: 1e-4, beta1: 0.9, beta2: 0.95, eps: 1e-12, weight_decay: 0, grad_clip_norm: 0 }

const measure = (executor: Executor): Effect.Effect<Measured, unknown> =>
  Effect.gen(function* () {
    const engine = yield* Engine.Engine
    const model = yield* engine.createModel({
      base_model: JaxEngine.nano,
      lora_config: { rank, seed: 0, train_attn: true, train_mlp: true, train_unembed: true }
    })
    const step = Effect.zipRight(
      model.forwardBackward({ data, loss_fn: "cross_entropy", loss_fn_config: {} }),
      model.optimStep(adam)
    )
    yield* step
    // since the process started
    const first = performance.now() / 1000
    yield* step
    const training = yield* Effect.replicateEffect(timed(step), steps)

    const sampler = yield* engine.createSampler({ base_model: JaxEngine.nano, adapter: yield* model.adapter })
    const sample = sampler.sample({
      prompt: ModelInput.fromTokens(Array.from({ length }, (_, i) => 3 + i)),
      num_samples: sequences,
      sampling_params: { max_tokens: sampled, temperature: 1, top_k: -1, top_p: 1, seed: 0, stop: [] },
      prompt_logprobs: false,
      topk_prompt_logprobs: 0
    })
    yield* sample
    const sampling = yield* Effect.replicateEffect(timed(sample), 5)
    return {
      training: (batch * length) / median(training),
      sampling: (sequences * sampled) / median(sampling),
      first,
      memory: process.resourceUsage().maxRSS / 1024
    }
  }).pipe(Effect.scoped, Effect.provide(JaxEngine.layer({ executor })), Effect.provide(NodeContext.layer))

/** What a process of its own measures, or nothing where the executor does not load. */
const measured = (executor: Executor): Measured | undefined => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), executor],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }
  )
  return status === 0 ? (JSON.parse(stdout) as Measured) : undefined
}

/** What JAX does on the same machine. */
const jax = (): Baseline | undefined => {
  const reference = fileURLToPath(new URL("../../packages/engine/reference/", import.meta.url))
  const python = process.env["PYTHON"] ?? [`${reference}.venv/bin/python`].find(existsSync) ?? "python3"
  const sizes = ["--batch", batch, "--length", length, "--rank", rank, "--steps", steps, "--threads", 1]
  const { status, stdout } = spawnSync(python, [`${reference}bench_step.py`, ...sizes.map(String)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })
  if (status !== 0) return undefined
  const { tokens_per_second, version } = JSON.parse(stdout) as { tokens_per_second: number; version: string }
  return { name: `jax-${version}`, value: tokens_per_second }
}

export const main = async (print: (line: string) => void = console.log): Promise<void> => {
  const reference = jax()
  if (reference === undefined)
    print("JAX: skipped: there is no Python with JAX (see packages/engine/reference/README.md)")
  let wasm: Measured | undefined
  for (const executor of ["wasm", "native"] as const) {
    const found = measured(executor)
    if (found === undefined) {
      print(`${executor}: skipped: it does not run here`)
      continue
    }
    const { first, memory, sampling, training } = found
    const beside = (name: Exclude<keyof Measured, "first">): Baseline | undefined =>
      wasm === undefined ? undefined : { name: "wasm", value: wasm[name] }
    print(figure(`engine.${executor}.training`, training, "tokens/s", reference ?? beside("training")))
    print(figure(`engine.${executor}.sampling`, sampling, "tokens/s", beside("sampling")))
    print(figure(`engine.${executor}.first-step`, first, "s"))
    print(figure(`engine.${executor}.memory`, memory, "MB", beside("memory")))
    if (executor === "wasm") wasm = found
  }
}

export default main

const [, script, executor] = process.argv
if (script === fileURLToPath(import.meta.url) && (executor === "native" || executor === "wasm")) {
  console.log(JSON.stringify(await Effect.runPromise(measure(executor))))
}
