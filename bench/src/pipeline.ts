/**
 * Measures how many clock cycles of the service a training step takes: with each call awaited, with forward-backward and
 * the optimizer step submitted together, and with the next step submitted ahead. The service is simulated in virtual
 * time; it works in cycles of 10 s, and the network takes 100 ms each way.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as Pipeline from "@effect-tinker/client/Pipeline"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { figure } from "./figure.ts"

const steps = 200
const cycleMillis = 10_000
const batch = [Datum.fromPromptCompletion([1, 2], [3])]
// the time that a program takes between two steps for data and metrics
const ownWork = Effect.sleep("500 millis")

type Loop = (training: TrainingClient.TrainingClient) => Effect.Effect<unknown, unknown>

const submit = (training: TrainingClient.TrainingClient) =>
  Effect.zipWith(
    training.forwardBackward(batch, "cross_entropy"),
    training.optimStep({ learning_rate: 1e-3 }),
    (forward, update) => Effect.all([Fiber.join(forward), Fiber.join(update)])
  )

const awaited: Loop = (training) =>
  Effect.repeatN(
    Effect.gen(function* () {
      yield* Fiber.join(yield* training.forwardBackward(batch, "cross_entropy"))
      yield* Fiber.join(yield* training.optimStep({ learning_rate: 1e-3 }))
      yield* ownWork
    }),
    steps - 1
  )

const together: Loop = (training) =>
  Effect.repeatN(Effect.andThen(Effect.flatten(submit(training)), ownWork), steps - 1)

const pipelined: Loop = (training) =>
  Stream.range(1, steps).pipe(
    Pipeline.steps({ submit: () => submit(training) }),
    Stream.runForEach(() => ownWork)
  )

const cycles = (loop: Loop): Promise<number> =>
  Effect.runPromise(
    Simulation.run(
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({
          cycle: cycleMillis,
          weather: { ...Weather.fair, latency: [100, 100] },
          engine: { vocabularySize: 16 },
          record: false
        })
        return yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel })
          const start = yield* Clock.currentTimeMillis
          yield* loop(training)
          return ((yield* Clock.currentTimeMillis) - start) / cycleMillis / steps
        }).pipe(
          Effect.scoped,
          Effect.provide(
            ServiceClient.layer({ apiKey: Redacted.make("tml-bench"), baseUrl: "http://simulated.test" }).pipe(
              Layer.provide(simulator.layer)
            )
          )
        )
      }).pipe(Effect.scoped)
    ).pipe(Effect.flatMap(({ exit }) => exit))
  )

export default async (print: (line: string) => void = console.log): Promise<void> => {
  const ideal = { name: "one cycle", value: 1 }
  const measured = { awaited: await cycles(awaited), together: await cycles(together), ahead: await cycles(pipelined) }
  print(`${steps} steps, cycles of ${cycleMillis / 1000} s`)
  print(figure("pipeline.awaited", measured.awaited, "cycles/step", ideal))
  print(figure("pipeline.together", measured.together, "cycles/step", ideal))
  print(figure("pipeline", measured.ahead, "cycles/step", ideal))
}
