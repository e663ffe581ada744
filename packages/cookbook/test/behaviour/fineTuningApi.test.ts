import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import * as FineTuning from "../../../../examples/src/fine-tuning/api.ts"
import type * as Runs from "../../../../examples/src/fine-tuning/runs.ts"

const Service = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://service.test" }).pipe(
  Layer.provide(TestServer.layer())
)

/** The API without a socket, and the client that is generated from it. */
const start = Effect.gen(function* () {
  const http = yield* InProcessHttpClient.make(Layer.provide(FineTuning.layer, Service))
  const client = yield* HttpApiClient.makeWith(FineTuning.Api, { httpClient: http, baseUrl: "http://own.test" })
  return { http, client }
})

const data = [Datum.fromPromptCompletion([1, 2], [3, 4, 5])]
const request = { base_model: TestEngine.baseModel, data, steps: 3, learning_rate: 0.1 }
const sampling_params = { max_tokens: 4, seed: 1 }

describe("a fine-tuning API of one's own", () => {
  it.scoped("trains and samples by the client that is generated from it", () =>
    Effect.gen(function* () {
      const { client } = yield* start
      const { losses, path } = yield* client.tuning.train({ payload: request })
      assert.strictEqual(losses.length, 3)
      assert.isBelow(losses[2]!, losses[0]!)
      const prompt = ModelInput.fromTokens([1, 2])
      const { sequences } = yield* client.tuning.sample({ payload: { path, prompt, sampling_params } })
      assert.strictEqual(sequences[0]!.tokens.length, 4)
      assert.instanceOf(sequences[0]!.logprobs, Float32Array)
    })
  )

  it.scoped("gives its caller the errors of the library, with their statuses and fields", () =>
    Effect.gen(function* () {
      const { client, http } = yield* start
      const unknown = yield* Effect.flip(client.tuning.train({ payload: { ...request, base_model: "none" } }))
      assert.strictEqual(unknown._tag, "BadRequest")
      assert.include((unknown as TinkerError.BadRequest).detail, "none")
      const prompt = ModelInput.fromTokens([1])
      const invalid = yield* Effect.flip(
        client.tuning.sample({ payload: { path: "nowhere", prompt, sampling_params } })
      )
      assert.strictEqual(invalid._tag, "InvalidInput")
      assert.strictEqual((invalid as TinkerError.InvalidInput).path, "model_path")

      const page = yield* Effect.flatMap(http.get("http://own.test/docs"), (response) => response.text)
      const statuses = Array.from(page.matchAll(/"(4\d\d|5\d\d)":\{"description"/g), ([, status]) => status)
      assert.includeMembers(statuses, ["400", "401", "402", "404", "409", "429", "502", "503", "504"])
      for (const shown of ["loss_fn_inputs", "top_p", "StepRefused"]) assert.include(page, shown)
    })
  )

  it.scopedLive("tells the progress of a run by server-sent events, and cancels one", () =>
    Effect.gen(function* () {
      const { client, http } = yield* start
      const follow = (id: string) =>
        Effect.flatMap(http.get(`http://own.test/runs/${id}/events`), (response) =>
          response.stream.pipe(
            Stream.decodeText(),
            Stream.splitLines,
            Stream.filter((line) => line.startsWith("data: ")),
            Stream.map((line) => JSON.parse(line.slice("data: ".length)) as Runs.Event),
            Stream.runCollect,
            Effect.map(Chunk.toReadonlyArray)
          )
        )
      const short = yield* client.tuning.start({ payload: request })
      const events = yield* follow(short.id)
      assert.deepStrictEqual(
        events.map(({ type }) => type),
        ["step", "step", "step", "done"]
      )
      // whoever comes later gets all of them
      assert.deepStrictEqual(yield* follow(short.id), events)

      const long = yield* client.tuning.start({ payload: { ...request, steps: 100 } })
      const following = yield* Effect.fork(follow(long.id))
      yield* client.tuning.cancel({ path: { id: long.id } })
      const last = (yield* Fiber.join(following)).at(-1)
      assert.deepStrictEqual(last, { type: "cancelled" })

      const missing = yield* http.get("http://own.test/runs/none/events")
      assert.strictEqual(missing.status, 404)
    })
  )
})
