/**
 * Measures the training of the shipped model through all layers: the client, the messages, the service in the caller's
 * fiber, and the engine, with 64 datums of 32 tokens at rank 16, and one step submitted ahead of the awaited one. The
 * baseline is the same step in JAX on as many threads, with the Python of packages/engine/reference/.venv or of the
 * variable PYTHON.
 *
 * A step is one forward-backward and one update; its time is the median. The share outside the engine is the time of a
 * step beyond the engine's operations. It is measured with each step awaited before the next is submitted: otherwise the
 * client's work would overlap with the engine's.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { figure } from "./figure.ts"

const batch = 64
const length = 32
const rank = 16
const warmup = 3
const steps = 15

const median = (values: ReadonlyArray<number>): number =>
  values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)]!

/** The engine, and the total duration of its operations in milliseconds. */
const measured = (taken: { ms: number }) => {
  const time = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const start = performance.now()
      return Effect.ensuring(
        effect,
        Effect.sync(() => {
          taken.ms += performance.now() - start
        })
      )
    })
  return Layer.effect(
    Engine.Engine,
    Effect.map(Engine.Engine, (engine) => ({
      ...engine,
      createModel: (options) =>
        Effect.map(engine.createModel(options), (model) => ({
          ...model,
          forwardBackward: (input) => time(model.forwardBackward(input)),
          optimStep: (params) => time(model.optimStep(params))
        }))
    }))
  ).pipe(Layer.provide(JaxEngine.layer()))
}

const layer = (taken: { ms: number }) =>
  ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: "http://embedded.invalid" }).pipe(
    Layer.provide(InProcessHttpClient.layer()),
    Layer.provide([measured(taken), CheckpointStore.layerMemory, Store.layerMemory]),
    Layer.provide(NodeContext.layer)
  )

const data = Array.from({ length: batch }, (_, i) => {
  const tokens = Int32Array.from({ length: length + 1 }, (_, j) => 3 + ((i * 31 + j * 7) % 256))
  return Datum.forLoss("cross_entropy", {
    model_input: tokens.subarray(0, -1),
    loss_fn_inputs: { target_tokens: tokens.subarray(1), weights: new Float32Array(length).fill(1) }
  })
})

const sum = (values: ReadonlyArray<number>): number => values.reduce((a, b) => a + b, 0)

const run = (taken: { ms: number }) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const training = yield* service.createLoraTrainingClient({ base_model: JaxEngine.nano, rank, seed: 0 })
    const submit = Effect.gen(function* () {
      const forward = yield* training.forwardBackward(data, "cross_entropy")
      const update = yield* training.optimStep({ learning_rate: 1e-4 })
      return Effect.all([Fiber.join(forward), Fiber.join(update)])
    })
    for (let i = 0; i < warmup; i++) yield* Effect.flatten(submit)

    const ahead: Array<number> = []
    const usage = process.cpuUsage()
    let next = yield* submit
    for (let i = 0; i < steps; i++) {
      const start = performance.now()
      const current = next
      next = yield* submit
      yield* current
      ahead.push(performance.now() - start)
    }
    const { system, user } = process.cpuUsage(usage)
    yield* next

    const whole: Array<number> = []
    const engine = taken.ms
    for (let i = 0; i < steps; i++) {
      const start = performance.now()
      yield* Effect.flatten(submit)
      whole.push(performance.now() - start)
    }
    return {
      step: median(ahead) / 1000,
      share: 1 - (taken.ms - engine) / sum(whole),
      threads: (user + system) / 1000 / sum(ahead)
    }
  }).pipe(Effect.scoped, Effect.provide(layer(taken)))

interface Jax {
  readonly version: string
  readonly tokens_per_second: number
}

/** The time of JAX on the same machine, or the reason why there is none. */
const jax = (threads: number): Jax | string => {
  const reference = fileURLToPath(new URL("../../packages/engine/reference/", import.meta.url))
  const python = process.env["PYTHON"] ?? [`${reference}.venv/bin/python`].find(existsSync) ?? "python3"
  const sizes = ["--batch", batch, "--length", length, "--rank", rank, "--steps", steps, "--threads", threads]
  const { status, stdout } = spawnSync(python, [`${reference}bench_step.py`, ...sizes.map(String)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })
  if (status !== 0) return "skipped: there is no Python with JAX (see packages/engine/reference/README.md)"
  return JSON.parse(stdout) as Jax
}

export const main = async (print: (line: string) => void = console.log): Promise<void> => {
  const { share, step, threads } = await Effect.runPromise(run({ ms: 0 }))
  const reference = jax(Math.max(1, Math.round(threads)))
  const rate = (batch * length) / step
  print(
    `a step of ${batch} datums of ${length} tokens, rank ${rank}: ${(step * 1000).toFixed(0)} ms, median of ${steps}`
  )
  print(`processor time per second: ${threads.toFixed(2)} s`)
  print(
    typeof reference === "string"
      ? `the same step in JAX: ${reference}`
      : `the same step in JAX ${reference.version}: ${reference.tokens_per_second} tokens/s`
  )
  print(
    figure(
      "step.tokens",
      rate,
      "tokens/s",
      typeof reference === "string"
        ? undefined
        : { name: `jax-${reference.version}`, value: reference.tokens_per_second }
    )
  )
  print(figure("step.outside-engine", share * 100, "%"))
}

export default main
