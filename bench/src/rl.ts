/**
 * Measures how many clock cycles of the service an iteration of reinforcement learning takes, and which share of its cycles the
 * trainer idles, for each loop. The service is simulated in virtual time: it works in cycles of 10 s, and the network takes
 * 100 ms each way. An episode takes 20 s, and one in 33 ten times as long.
 */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Env from "@effect-tinker/cookbook/Env"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { figure } from "./figure.ts"

const steps = 30
const perStep = 8
const cycleMillis = 10_000
const episodeMillis = 20_000

const groupOf = (step: number, i: number) =>
  Env.problem({
    prompt: [65 + i],
    stop: "\n",
    size: 4,
    decode: (tokens) => String.fromCharCode(...Array.from(tokens)),
    formPenalty: 0,
    // the steps of a straggler are those of its number
    grade: ({ tokens }) =>
      Effect.as(Effect.sleep((step * perStep + i) % 33 === 17 ? 10 * episodeMillis : episodeMillis), tokens[0]! % 2)
  })

const train = (loop: Rl.Mode) =>
  Rl.run({
    model: { base_model: TestEngine.baseModel, rank: 4, seed: 0 },
    groups: { at: (step) => Effect.succeed(Array.from({ length: perStep }, (_, i) => groupOf(step, i))) },
    steps,
    learningRate: LearningRate.constant(1e-2),
    constantGroups: "keep",
    rollouts: { sampling: { max_tokens: 1 } },
    loop,
    checkpoints: { final: false }
  })

interface Measured {
  readonly cycles: number
  readonly idle: number
}

const measure = (loop: Rl.Mode): Promise<Measured> =>
  Effect.runPromise(
    Simulation.run(
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({
          cycle: cycleMillis,
          weather: { ...Weather.fair, latency: [100, 100] }
        })
        const start = yield* Clock.currentTimeMillis
        const client = ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: "http://simulated.test" })
        yield* train(loop).pipe(
          Effect.scoped,
          Effect.provide([client.pipe(Layer.provide(simulator.layer)), Metrics.layerSilent]),
          Effect.provide([FileSystem.layerNoop({}), Path.layer])
        )
        const all = ((yield* Clock.currentTimeMillis) - start) / cycleMillis
        const worked = new Set(
          (yield* simulator.applied)
            .filter(({ type }) => type === "ForwardBackward" || type === "Forward")
            .map(({ millis }) => Math.round(millis / cycleMillis))
        )
        return { cycles: all / steps, idle: 1 - worked.size / all }
      }).pipe(Effect.scoped),
      { limit: "10 days", realLimit: "10 minutes" }
    ).pipe(Effect.flatMap(({ exit }) => exit))
  )

const loops: ReadonlyArray<readonly [name: string, loop: Rl.Mode]> = [
  ["synchronous", { mode: "synchronous" }],
  ["minibatches", { mode: "synchronous", minibatches: 4 }],
  ["strict-1", { mode: "strict", maxLag: 1 }],
  ["strict-4", { mode: "strict", maxLag: 4 }],
  ["oldest-first-1", { mode: "oldest_first", maxLag: 1 }],
  ["oldest-first-4", { mode: "oldest_first", maxLag: 4 }]
]

export default async (print: (line: string) => void = console.log): Promise<void> => {
  print(`${steps} iterations of ${perStep} groups, cycles of ${cycleMillis / 1000} s`)
  const lines: Array<string> = []
  for (const [name, loop] of loops) {
    const { cycles, idle } = await measure(loop)
    print(`${name}: ${cycles.toFixed(2)} cycles an iteration, the trainer idles ${(idle * 100).toFixed(0)} %`)
    lines.push(figure(`rl.${name}`, cycles, "cycles/iteration", { name: "one cycle", value: 1 }))
    lines.push(figure(`rl.${name}.idle`, idle, "share"))
  }
  for (const line of lines) print(line)
}
