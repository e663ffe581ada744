import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as Fault from "@effect-tinker/testing/Fault"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Fiber, Layer, Random, Redacted, TestClock } from "effect"
import { readFileSync } from "node:fs"
import { baseUrl, forwardTo, json, scripted, connect } from "../utils/services.ts"

/** Stands in every prompt, path, key, tag, metadata and error of the service. */
const marker = "XMARKERX"
const apiKey = `tml-key-${marker}`
// tokens that stand for it in prompts
const tokens = [17, 23, 17, 29, 17, 31]
const tokensAsText = tokens.join(",")

class OfTheUser extends Data.TaggedError("OfTheUser")<{ readonly message: string }> {}
class RenamedError extends Error {
  override readonly name = `of ${marker}`
}

/** Errors with the marker wherever a text of a service or a user fits. */
const endings: ReadonlyArray<Effect.Effect<never, unknown>> = [
  Effect.fail(new TinkerError.RequestFailed({ method: "sample", reason: marker, category: "user" })),
  Effect.fail(new TinkerError.RequestFailed({ method: "sample", reason: marker, category: "server" })),
  Effect.fail(new TinkerError.InvalidInput({ method: "sample", path: marker, reason: marker })),
  Effect.fail(new TinkerError.DecodeError({ method: "sample", reason: marker })),
  Effect.fail(new TinkerError.FileError({ method: "download", path: `/home/${marker}`, reason: marker })),
  Effect.fail(new TinkerError.TransportError({ method: "sample", reason: "Timeout", url: `http://${marker}.test/` })),
  Effect.fail(new TinkerError.SessionLost({ method: "sample", sessionId: marker, reason: marker })),
  Effect.fail(new TinkerError.ServerError({ method: "sample", status: 500, detail: marker, requestId: `<${marker}>` })),
  Effect.fail(new OfTheUser({ message: marker })),
  Effect.fail({ _tag: `of ${marker}` }),
  Effect.fail(marker),
  Effect.die(new RenamedError(marker)),
  Effect.die(marker)
]

/** Every third request to an endpoint fails, with a body and a request id that echo the request and the marker. */
const withEchoes = (service: ScriptedHttpClient.Step): ScriptedHttpClient.Step => {
  const counts = new Map<string, number>()
  const statuses = [500, 400, 429, 503, 404]
  let failures = 0
  return (request) => {
    if (request.path === "/telemetry") return json({ status: "accepted" })
    const count = (counts.get(request.path) ?? 0) + 1
    counts.set(request.path, count)
    const isOpening = /client\/config|create_|heartbeat/.test(request.path)
    if (isOpening || count % 3 !== 1) return typeof service === "function" ? service(request) : service
    const detail = `${marker}: ${tokensAsText} ${request.text} ${JSON.stringify(request.headers)}`
    const body = failures % 2 === 0 ? { detail } : { error: { message: detail }, prompt: request.body ?? null }
    return json(body, {
      status: statuses[failures++ % statuses.length]!,
      headers: { "x-request-id": failures % 2 === 0 ? `req-${failures}` : `<${marker} ${tokensAsText}>` }
    })
  }
}

const datum = Datum.fromPromptCompletion(tokens, tokens)

/** A file exists everywhere, so that each download fails with its path. */
const files = Layer.merge(FileSystem.layerNoop({ exists: () => Effect.succeed(true) }), Path.layer)

/** Moves the clock until a fiber has ended. */
const joinWithClock = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function* () {
    while ((yield* Fiber.poll(fiber))._tag === "None") yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

/** Trains, samples, saves, loads, reads and downloads; each step's failure is passed over. */
const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const rest = yield* RestClient.RestClient
  const step = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.exit(effect)
  const fresh = service.createLoraTrainingClient({ base_model: TestEngine.baseModel, user_metadata: { note: marker } })
  for (let round = 0; round < 3; round++) {
    const training = yield* fresh
    const join = <A, E, R, E2>(future: Effect.Effect<Fiber.Fiber<A, E>, E2, R>) =>
      step(Effect.flatMap(future, Fiber.join))
    yield* join(training.forwardBackward([datum, datum], "cross_entropy"))
    yield* join(training.optimStep())
    yield* join(training.saveState(`${marker}-${round}`))
    yield* join(training.loadState(`tinker://${marker}/weights/${marker}`))
    yield* step(training.getInfo)
    const sampler = yield* step(service.createSamplingClient({ base_model: TestEngine.baseModel }))
    if (sampler._tag === "Success") {
      yield* step(
        sampler.value.sample(ModelInput.fromTokens(tokens), { sampling_params: { max_tokens: 2, stop: [marker] } })
      )
    }
    yield* step(rest.getTrainingRun(marker))
    yield* step(CheckpointDownload.download(`tinker://${marker}/weights/${marker}`, { directory: marker }))
  }
})

describe("telemetry of a whole program with faults", () => {
  it.scoped(
    "contains nothing of prompts, paths, keys, tags, user metadata and the texts of the service's errors",
    () =>
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({
          faults: [
            Fault.on("optim_step").nth(2).loseResponse,
            Fault.on("retrieve_future")
              .chance(0.1)
              .respond(500, { body: `${marker} ${tokensAsText}` }),
            Fault.on("asample").nth(2).loseRequest
          ]
        })
        const http = yield* ScriptedHttpClient.make({ "*": withEchoes(forwardTo(simulator.client)) })
        for (const use of [program, ...endings]) {
          const options = {
            apiKey: Redacted.make(apiKey),
            baseUrl: `${baseUrl}/${marker}`,
            tags: [marker],
            userMetadata: { note: marker },
            displayName: marker,
            projectId: marker
          }
          const client = Layer.merge(ServiceClient.layer(options), RestClient.layer(options))
          const fiber = yield* Effect.flatMap(ServiceClient.ServiceClient, () => use).pipe(
            Effect.scoped,
            RetryPolicy.withRetryPolicy({ total: "10 seconds" }),
            Effect.provide(client),
            Effect.provide(Layer.merge(http.layer, files)),
            Effect.exit,
            Effect.fork
          )
          yield* joinWithClock(fiber)
        }
        const batches = (yield* http.requestsTo("/telemetry")).map(({ text }) => text)
        const text = batches.join("\n")
        assert.isAbove(batches.length, endings.length)
        for (const secret of [marker, apiKey, tokensAsText, tokens.join(", ")]) assert.notInclude(text, secret)
        for (const reported of [
          "ServerError",
          "BadRequest",
          "NotFound",
          "RateLimited",
          "FileError",
          "OfTheUser",
          "req-"
        ]) {
          assert.include(text, reported)
        }
      }),
    60_000
  )
})

describe("docs/telemetry.md", () => {
  it.scoped("shows the batch that a session with one failed request sends", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 15, 9, 30))
      const http = yield* scripted.make({
        "/telemetry": json({ status: "accepted" }),
        "/optim_step": [
          json({ detail: "worker 7 was restarted" }, { status: 503, headers: { "x-request-id": "req-5f2c" } }),
          json({ request_id: "OptimStep" })
        ]
      })
      const session = Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: "base" })
        const fiber = yield* training.optimStep()
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(fiber)
      })
      yield* session.pipe(Effect.provide(connect(http)), Effect.withRandom(Random.make("docs")))
      const [batch] = yield* http.requestsTo("/telemetry")
      // what differs from machine to machine and from release to release
      const sent = { ...(batch!.body as object), platform: "Linux", sdk_version: "0.1.0", process_uuid: "…" }
      const [, shown] = /```json\n([\s\S]*?)```/.exec(
        readFileSync(new URL("../../../../docs/telemetry.md", import.meta.url), "utf8")
      )!
      assert.deepStrictEqual(JSON.parse(shown!), sent)
    })
  )
})
