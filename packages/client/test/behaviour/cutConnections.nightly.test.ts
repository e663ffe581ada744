import * as Datum from "@effect-tinker/api/Datum"
import type * as Training from "@effect-tinker/api/Training"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import type * as Engine from "@effect-tinker/server/Engine"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Redacted } from "effect"
import { PCGRandom } from "effect/Utils"
import * as Net from "node:net"

/** For a longer run: `CUT_SECONDS=60 npx vitest run --project client cutConnections`. */
const seconds = Number(process.env["CUT_SECONDS"] ?? 4)

/**
 * What stands between a client and a service, and cuts connections: each after so many parts of requests or answers, in
 * the middle of one or between two, by an end or by a reset.
 */
const unreliable = (port: number, seed: number) =>
  Effect.gen(function* () {
    const chance = new PCGRandom(seed)
    const open = new Set<Net.Socket>()
    const cuts = { ended: 0, reset: 0, partial: 0 }
    const server = Net.createServer((client) => {
      const service = Net.connect(port, "127.0.0.1")
      const pair = [client, service] as const
      let left = 1 + chance.integer(24)
      const cut = () => {
        const isReset = chance.integer(2) === 0
        cuts[isReset ? "reset" : "ended"]++
        for (const socket of pair) {
          if (isReset) socket.resetAndDestroy()
          else socket.end()
        }
      }
      for (const [from, to] of [pair, [service, client] as const]) {
        open.add(from)
        from.on("error", () => to.destroy())
        from.on("close", () => {
          open.delete(from)
          to.end()
        })
        from.on("data", (part) => {
          if (--left > 0) return void to.write(part)
          if (left < 0) return
          // a part of the chunk arrives, all of it, or nothing
          const arrives = [0, chance.integer(part.length), part.length][chance.integer(3)]!
          if (arrives > 0 && arrives < part.length) cuts.partial++
          if (arrives > 0) to.write(part.subarray(0, arrives))
          cut()
        })
      }
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of open) socket.destroy()
        })
    )
    return { port: (server.address() as Net.AddressInfo).port, cuts, open }
  })

const vocabularySize = 16
const spell = (tag: number) => [tag & 15, (tag >> 4) & 15, (tag >> 8) & 15]

/** Describes an operation that the engine ran, with its tag. */
const read = ({ input, name }: TestEngine.Operation) =>
  name === "forwardBackward"
    ? `pass ${ModelInput.toTokens((input as Engine.PassOptions).data[0]!.model_input)
        .slice(0, 3)
        .reduceRight((sum, digit) => sum * 16 + digit, 0)}`
    : name === "optimStep"
      ? `step ${Math.round((input as Training.AdamParams).learning_rate * 2 ** 20)}`
      : undefined

const sample = (sampling: SamplingClient.SamplingClient, n: number) =>
  Effect.map(
    sampling.sample(ModelInput.fromTokens(spell(n)), { sampling_params: { max_tokens: 8, seed: n } }),
    ({ sequences }) => Array.from(sequences[0]!.tokens)
  )

describe("a client whose connections are cut at random", () => {
  it.scopedLive(
    "loses, repeats and reorders no step, returns each sample its own result, and leaves no connection behind",
    () =>
      Effect.gen(function* () {
        const engine = yield* TestEngine.make({ vocabularySize })
        const service = yield* Layer.build(
          NodeServer.layer().pipe(Layer.provide([engine.layer, CheckpointStore.layerMemory, Store.layerMemory]))
        )
        const url = yield* Effect.provide(NodeServer.baseUrl, service)
        const between = yield* unreliable(Number(new URL(url).port), 7)

        const connect = (port: number) =>
          Effect.provide(
            ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: `http://127.0.0.1:${port}` }).pipe(
              Layer.provide(NodeHttpClient.layer)
            )
          )
        const sampled = new Map<number, ReadonlyArray<number>>()
        let given = 0

        const submitted = yield* Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const sampling = yield* client.createSamplingClient({ base_model: TestEngine.baseModel })
          let next = 0
          const sampler = Effect.gen(function* () {
            const n = next++
            const one = Effect.map(sample(sampling, n), (tokens) => void sampled.set(n, tokens))
            // some are interrupted, before, during or after the request
            if (n % 4 === 0 && Option.isNone(yield* Effect.timeoutOption(one, n % 40))) given++
            if (n % 4 > 0) yield* one
          })
          const samplers = yield* Effect.forkScoped(
            Effect.forEach(Array.from({ length: 20 }), () => Effect.forever(sampler), { concurrency: "unbounded" })
          )
          const training = yield* client.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
          const step = (tag: number) =>
            Effect.gen(function* () {
              const forward = yield* training.forwardBackward(
                [Datum.fromPromptCompletion(spell(tag), [1, 2])],
                "cross_entropy"
              )
              const update = yield* training.optimStep({ learning_rate: tag / 2 ** 20 })
              return Effect.all([Fiber.join(forward), Fiber.join(update)])
            })
          const start = performance.now()
          let tag = 1
          let ahead = yield* step(tag)
          while (performance.now() - start < seconds * 1000 && tag < 4000) {
            const next = yield* step(++tag)
            yield* ahead
            ahead = next
          }
          yield* ahead
          assert.isNull(samplers.unsafePoll(), "no sample failed")
          return tag
        }).pipe(
          RetryPolicy.withRetryPolicy({ first: "5 millis", cap: "100 millis" }),
          Effect.scoped,
          connect(between.port)
        )

        const applied = (yield* engine.operations).map(read).filter((name) => name !== undefined)
        assert.deepStrictEqual(
          applied,
          Array.from({ length: submitted }, (_, i) => [`pass ${i + 1}`, `step ${i + 1}`]).flat()
        )
        yield* Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const sampling = yield* client.createSamplingClient({ base_model: TestEngine.baseModel })
          for (const [n, tokens] of sampled) assert.deepStrictEqual(tokens, yield* sample(sampling, n))
        }).pipe(Effect.scoped, connect(Number(new URL(url).port)))
        assert.isAbove(Math.min(sampled.size, given), 0)
        const { ended, partial, reset } = between.cuts
        assert.isAbove(Math.min(ended, partial, reset), 0, `${submitted} steps, ${JSON.stringify(between.cuts)}`)
        // connections close a moment after the client has closed them
        yield* Effect.sleep("10 millis").pipe(Effect.repeat({ until: () => between.open.size === 0 }))
        if (seconds > 10)
          yield* Effect.logInfo(`${submitted} steps, ${sampled.size} samples, ${ended + reset} connections cut`)
      }),
    (seconds + 30) * 1000
  )
})
