import * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Choice } from "../../../src/internal/executors/choose.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import type { LoadedModel } from "../../../src/internal/model/loaded.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as random from "../../../src/internal/util/random.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { sampleRequest } from "../../utils/requests.ts"

const load = (choice: Choice, deterministic = false) =>
  fixtures.load(fixtures.path("tiny-qwen3"), undefined, choice, { deterministic })

interface Request {
  readonly options: Engine.SampleOptions
  readonly hasAdapter: boolean
}

/** Requests with prompts of many lengths, some of which begin alike, for the base model and for a checkpoint. */
const requests = (count: number, longest: number): ReadonlyArray<Request> =>
  Array.from({ length: count }, (_, i) => {
    const draw = (name: string, size: number) => Math.floor(random.uniform(random.streamKey(i, name), 0) * size)
    const start = draw("start", 3)
    const prompt = Array.from({ length: 1 + draw("prompt", longest) }, (_, j) => (start * 50 + j * 7) % 250)
    const params = { seed: i, max_tokens: 3 + draw("tokens", 40), stop: [], temperature: 1 }
    return { options: sampleRequest({ prompt, num_samples: 1 + draw("samples", 3), params }), hasAdapter: i % 3 === 0 }
  })

const adapter = fixtures.makeAdapter(fixtures.peftArrays(fixtures.qwen.lora), fixtures.qwen.rank)

/** Samples requests at the same time. They begin one after another, while those before run. */
const sampleTogether = (base: LoadedModel, all: ReadonlyArray<Request>) =>
  Effect.gen(function* () {
    return yield* Effect.forEach(
      all,
      ({ hasAdapter, options }, i) =>
        Effect.gen(function* () {
          yield* Effect.replicateEffect(Engine.yieldTurn(0), i, { discard: true })
          const response = hasAdapter
            ? yield* Effect.flatMap(rowAdapter.make(base, adapter), (own) => sampler.sample(base, own, options))
            : yield* sampler.sample(base, rowAdapter.none, options)
          return response.sequences
        }).pipe(Effect.provideService(Engine.CurrentTurn, { yield: () => Effect.yieldNow() })),
      { concurrency: "unbounded" }
    )
  })

/** Samples requests one after another, each with nothing before it. */
const sampleAlone = (base: LoadedModel, all: ReadonlyArray<Request>) =>
  Effect.forEach(all, (request) => Effect.map(sampleTogether({ ...base }, [request]), ([sequences]) => sequences!))

describe.each(fixtures.availableExecutors)("Requests in one batch, on %s", (executor) => {
  it.scoped("have the sequences that they have alone, and logprobs that are equal up to rounding", () =>
    Effect.gen(function* () {
      const base = yield* load(executor)
      const all = requests(8, 60)
      const together = yield* sampleTogether(base, all)
      const alone = yield* sampleAlone(base, all)
      alone.forEach((sequences, i) =>
        sequences.forEach(({ logprobs, tokens }, j) => {
          assert.deepStrictEqual(together[i]![j]!.tokens, tokens)
          fixtures.assertNear(together[i]![j]!.logprobs!, logprobs!, "logprobs", 1e-5)
        })
      )
    })
  )
})

describe.skipIf(!fixtures.isNativeAvailable)("A deterministic sample", () => {
  it.scoped("has bits that depend on its own request alone, whatever shares its batch and came before", () =>
    Effect.gen(function* () {
      const base = yield* load("native", true)
      const all = requests(24, 200)
      const alone = yield* sampleAlone(base, all)
      for (let round = 0; round < 3; round++) {
        const order = [...all.keys()].sort((a, b) => random.streamKey(round, a) - random.streamKey(round, b))
        const chosen = order.slice(0, 4 + 7 * round)
        // the same model, so that prompts of earlier rounds are known
        const together = yield* sampleTogether(base, chosen.map((i) => all[i]!)) // prettier-ignore
        chosen.forEach((i, place) => assert.deepStrictEqual(together[place], alone[i]))
      }
    })
  )
})

/** A model that logs the programs which it runs: `chunk` or `block` of a prompt, or `step` of a number of rows. */
const logging = (base: LoadedModel, log: Array<string>): LoadedModel => ({
  ...base,
  executor: {
    ...base.executor,
    compile: (program) =>
      Effect.map(base.executor.compile(program), ({ run }) => ({
        run: (inputs, outputs) => {
          const [kind, , , rows, length] = program.key.split(" ")
          if (kind === "extend") log.push(length === "1" ? `step ${rows}` : "chunk")
          if (kind === "attention_pair") log.push("block")
          return run(inputs, outputs)
        }
      }))
  }
})

describe("The batch of a model", () => {
  const executor = fixtures.isNativeAvailable ? "native" : "wasm"
  const long = sampleRequest({ params: { max_tokens: 1000, stop: [] } })

  it.scoped("extends all sequences together", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const base = logging(yield* load(executor), log)
      const request = (seed: number) => sampleRequest({ params: { seed, max_tokens: 20, stop: [] } })
      const sample = (seed: number) => sampler.sample(base, rowAdapter.none, request(seed))
      yield* Effect.forEach(Array.from({ length: 31 }, (_, i) => i), sample, { concurrency: "unbounded" }) // prettier-ignore
      // 31 is also the marker of a size in programs of symbolic sizes; the prompt is the same, and the first token follows it
      assert.deepStrictEqual(log, ["chunk", ...Array.from({ length: 19 }, () => "step 31")])
    })
  )

  it.scoped("is not held up by a long prompt", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const base = logging(yield* load(executor), log)
      const running = yield* Effect.fork(sampler.sample(base, rowAdapter.none, long))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => log.length > 5 })
      const prompt = Array.from({ length: 900 }, (_, i) => i % 250)
      yield* sampler.sample(base, rowAdapter.none, sampleRequest({ prompt, params: { max_tokens: 2, stop: [] } }))
      yield* Fiber.interrupt(running)
      const blocks = log.slice(log.indexOf("block"), log.lastIndexOf("block"))
      const steps = blocks.filter((name) => name === "step 1").length
      assert.isAtLeast(steps, 4, blocks.join(" "))
    })
  )

  it.scoped("frees the rows of an interrupted request at once, and goes on", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const base = logging(yield* load(executor), log)
      const interrupted = yield* Effect.fork(sampler.sample(base, rowAdapter.none, { ...long, num_samples: 8 }))
      const other = yield* Effect.fork(sampler.sample(base, rowAdapter.none, sampleRequest({ params: { stop: [] } })))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => log.includes("step 9") })
      yield* Fiber.interrupt(interrupted)
      const before = log.length
      const { sequences } = yield* Fiber.join(other)
      assert.strictEqual(sequences[0]!.tokens.length, 20)
      // the step that ran may have been computed for all
      assert.deepStrictEqual(new Set(log.slice(before + 1)), new Set(["step 1"]))
      const fresh = yield* sampler.sample({ ...base }, rowAdapter.none, sampleRequest({ params: { stop: [] } }))
      assert.deepStrictEqual(sequences[0]!.tokens, fresh.sequences[0]!.tokens)
    })
  )

  it.scoped("lets a request in whose predecessor has thousands of sequences", () =>
    Effect.gen(function* () {
      const base = yield* load(executor)
      const flood = yield* Effect.fork(sampler.sample(base, rowAdapter.none, { ...long, num_samples: 4000 }))
      yield* Effect.replicateEffect(Effect.yieldNow(), 20, { discard: true })
      const { sequences } = yield* sampler.sample(base, rowAdapter.none, sampleRequest({ params: { stop: [] } }))
      assert.strictEqual(sequences[0]!.tokens.length, 20)
      yield* Fiber.interrupt(flood)
    })
  )

  it.scoped("reads only what is new of a conversation", () =>
    Effect.gen(function* () {
      const base = yield* load(executor)
      const sample = (model: LoadedModel, prompt: ReadonlyArray<number>) =>
        sampler.sample(model, rowAdapter.none, sampleRequest({ prompt, params: { max_tokens: 30, stop: [], seed: 7 } }))
      const prompt = Array.from({ length: 40 }, (_, i) => (i * 7) % 250)
      const first = yield* sample(base, prompt)
      const again = yield* sample(base, prompt)
      assert.deepStrictEqual([first, again].map((response) => response.prompt_cache_hit_tokens), [0, 40]) // prettier-ignore
      assert.deepStrictEqual(again.sequences, first.sequences)
      const turn = [...prompt, ...first.sequences[0]!.tokens, 11, 12, 13]
      const second = yield* sample(base, turn)
      assert.strictEqual(second.prompt_cache_hit_tokens, 69)
      const fresh = yield* sample({ ...base }, turn)
      assert.deepStrictEqual(second.sequences[0]!.tokens, fresh.sequences[0]!.tokens)
      fixtures.assertNear(second.sequences[0]!.logprobs!, fresh.sequences[0]!.logprobs!, "logprobs", 1e-5)
    })
  )
})
