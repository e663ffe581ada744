/** A page that trains when a test calls its functions, which are properties of the window. */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BrowserFileSystem from "@effect-tinker/embedded/BrowserFileSystem"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

const nano = "effect-tinker/nano"

const run = <A, E>(
  program: Effect.Effect<A, E, ServiceClient.ServiceClient>,
  options: Partial<Embedded.BrowserOptions>
): Promise<A> => {
  const service = Embedded.layerBrowserServiceClient({
    worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
    models: [{ name: nano, url: new URL("/models/nano", location.href).href }],
    ...options
  })
  return Effect.runPromise(
    Effect.provide(program, service.pipe(Layer.provideMerge(BrowserFileSystem.layer()))) as Effect.Effect<A, E>
  )
}

const tokens = Array.from("walk → walked", (letter) => letter.codePointAt(0)! % 256)

/** The losses of some steps, and the path of what was saved. */
const train = (steps: number, name: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const training = yield* service.createLoraTrainingClient({ base_model: nano, rank: 4, seed: 1 })
    const losses: Array<number> = []
    for (let step = 0; step < steps; step++) {
      const datum = Datum.fromPromptCompletion(tokens.slice(0, 6), tokens.slice(6))
      const { metrics } = yield* Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), Fiber.join)
      yield* Effect.flatMap(training.optimStep({ learning_rate: 1e-2 }), Fiber.join)
      losses.push(metrics["loss:sum"]!)
    }
    const saved = yield* Effect.flatMap(training.saveWeightsForSampler(name), Fiber.join)
    return { losses, path: saved.path }
  }).pipe(Effect.scoped)

const sample = (model: { readonly model_path: string } | { readonly base_model: string }) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const sampling = yield* service.createSamplingClient(model as { readonly base_model: string })
    const { sequences } = yield* sampling.sample(ModelInput.fromTokens(tokens.slice(0, 6)), {
      sampling_params: { max_tokens: 4, temperature: 0 }
    })
    return sequences[0]!.tokens
  }).pipe(Effect.scoped)

/** What the engine on the thread of the page offers, with the directory of the model as the browser keeps it. */
const engineOfPage = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const parent = `/models/${encodeURIComponent(nano)}`
  const [version] = yield* fs.readDirectory(parent)
  const engine = yield* JaxEngine.make({ models: [{ name: "kept", directory: `${parent}/${version}` }] })
  const alone = yield* Effect.flip(JaxEngine.make())
  return { models: engine.models.map(({ model_name }) => model_name), alone: alone.message }
}).pipe(Effect.scoped, Effect.provide(BrowserFileSystem.layer()))

const progress: Array<Embedded.Progress> = []

Object.assign(globalThis, {
  tests: {
    progress,
    train: () =>
      run(train(6, "kept"), {
        checkpoints: "/checkpoints",
        onProgress: (now) => Effect.sync(() => void progress.push(now))
      }),
    sample: (path: string) => run(sample({ model_path: path }), { checkpoints: "/checkpoints" }),
    sampleBase: (options: Partial<Embedded.BrowserOptions>) =>
      run(sample({ base_model: nano }), options).then(String, String),
    engineOfPage: () => Effect.runPromise(engineOfPage),
    missingWorker: () =>
      run(sample({ base_model: nano }), {
        worker: () => new Worker(new URL("./missing.js", import.meta.url), { type: "module" })
      }).then(String, String)
  }
})
