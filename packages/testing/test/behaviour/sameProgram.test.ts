import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, ConfigProvider, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as TestEngine from "../../src/TestEngine.ts"
import * as TestServer from "../../src/TestServer.ts"

const key = "tml-same-program"
const serverOptions = { apiKeys: [Redacted.make(key)], tokenLifetime: "1 hour" } as const

/** Trains, saves, samples and lists checkpoints. Its result does not depend on the service. */
const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const { supported_models } = yield* service.getServerCapabilities
  const base_model = supported_models[0]!.model_name!
  const training = yield* service.createLoraTrainingClient({ base_model, rank: 4, seed: 1 })
  const data = [Datum.fromPromptCompletion([1, 2], [3, 4]), Datum.fromPromptCompletion([5], [6, 7])]
  const losses: Array<number | undefined> = []
  for (let step = 0; step < 3; step++) {
    const forward = yield* training.forwardBackward(data, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    losses.push(output.metrics["loss:sum"])
  }
  const saved = yield* Fiber.join(yield* training.saveState("state"))
  const sampling = yield* training.saveWeightsAndGetSamplingClient()
  const reply = yield* sampling.sample(ModelInput.fromTokens([1, 2]), {
    num_samples: 2,
    sampling_params: { max_tokens: 4, seed: 1 }
  })
  const rest = yield* RestClient.RestClient
  const checkpoints = yield* Stream.runCollect(rest.streamUserCheckpoints())
  yield* Stream.runDrain(rest.deleteCheckpoints({ targets: [saved.path] }))
  const left = yield* rest.listUserCheckpoints()
  const me = yield* rest.whoami
  const run = yield* rest.getTrainingRun(training.modelId)
  return {
    losses,
    tokens: reply.sequences.map(({ tokens }) => tokens),
    kinds: Chunk.toReadonlyArray(checkpoints).map(({ checkpoint_id }) => checkpoint_id),
    left: left.checkpoints.length,
    mine: run.model_owner === me.user_urn
  }
})

/** Runs the program with the service that the environment names. */
const at = (url: string, http: Layer.Layer<HttpClient.HttpClient>) =>
  program.pipe(
    Effect.scoped,
    Effect.provide(
      Layer.merge(ServiceClient.layerConfig(), RestClient.layerConfig()).pipe(
        Layer.provide(http),
        Layer.provide(
          Layer.setConfigProvider(
            ConfigProvider.fromMap(
              new Map([
                ["TINKER_API_KEY", key],
                ["TINKER_BASE_URL", url]
              ])
            )
          )
        )
      )
    )
  )

/** A reverse proxy that serves `target` under a path. */
const gateway = (target: string, prefix: string) =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        if (!request.url!.startsWith(`${prefix}/`)) return void response.writeHead(404).end()
        const { headers, method } = request
        const onward = Http.request(
          `${target}${request.url!.slice(prefix.length)}`,
          { method: method!, headers },
          (upstream) => {
            response.writeHead(upstream.statusCode!, upstream.headers)
            upstream.pipe(response)
          }
        )
        onward.on("error", () => response.destroy())
        request.pipe(onward)
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

describe("the same program", () => {
  it.scopedLive("gives the same results in process, over a socket, and behind another base path", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(serverOptions)
      const inFiber = yield* at("http://anywhere.test", server.layer)
      assert.strictEqual(inFiber.losses.length, 3)
      assert.isBelow(inFiber.losses[2]!, inFiber.losses[0]!)
      assert.deepStrictEqual(inFiber.kinds, ["weights/state"])
      assert.strictEqual(inFiber.left, 0)
      assert.isTrue(inFiber.mine)

      const listener = NodeServer.layer(serverOptions).pipe(
        Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory])
      )
      const context = yield* Layer.build(listener)
      const url = yield* Effect.provide(NodeServer.baseUrl, context)
      assert.deepStrictEqual(yield* at(url, FetchHttpClient.layer), inFiber)

      const proxy = yield* gateway(url, "/services/tinker-local")
      const { port } = proxy.address() as AddressInfo
      const behind = `http://127.0.0.1:${port}/services/tinker-local/`
      assert.deepStrictEqual(yield* at(behind, FetchHttpClient.layer), inFiber)
    })
  )
})
