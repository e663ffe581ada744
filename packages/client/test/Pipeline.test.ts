import * as Datum from "@effect-tinker/api/Datum"
import * as Pipeline from "@effect-tinker/client/Pipeline"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Clock, Effect, Exit, Fiber, Stream, TestClock } from "effect"
import { connect, embedded } from "./utils/services.ts"

// a service that runs steps one after the other, ten seconds each, and records submissions and results
const makeService = (options: { readonly failing?: number } = {}) => {
  const events: Array<string> = []
  let free = 0
  const submit = (batch: number, index: number) =>
    Effect.gen(function* () {
      events.push(`submit ${index}`)
      const now = yield* Clock.currentTimeMillis
      free = Math.max(free, now) + 10_000
      const result = batch === options.failing ? Effect.fail(`step ${batch} failed`) : Effect.succeed(batch)
      return yield* Effect.forkDaemon(Effect.delay(result, free - now))
    })
  const deliver = (result: number) => Effect.sync(() => void events.push(`result ${result}`))
  return { events, submit, deliver }
}

const drain = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.exit(Stream.runCollect(stream)))
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

describe("a pipeline", () => {
  it.effect("submits exactly `ahead` steps beyond the one that is awaited", () =>
    Effect.gen(function* () {
      const { deliver, events, submit } = makeService()
      const exit = yield* drain(Stream.range(0, 4).pipe(Pipeline.steps({ submit, ahead: 2 }), Stream.tap(deliver)))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(events, [
        "submit 0",
        "submit 1",
        "submit 2",
        "result 0",
        "submit 3",
        "result 1",
        "submit 4",
        "result 2",
        "result 3",
        "result 4"
      ])
    })
  )

  it.effect("never lets the service be idle between steps", () =>
    Effect.gen(function* () {
      const { submit } = makeService()
      let finished = 0
      const fiber = yield* Stream.range(1, 20).pipe(
        Pipeline.steps({ submit }),
        // the program spends time on each result
        Stream.tap(() => Effect.sleep("3 seconds")),
        Stream.runForEach(() => Effect.map(Clock.currentTimeMillis, (now) => void (finished = now))),
        Effect.fork
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.strictEqual(finished, 20 * 10_000 + 3000)
    })
  )

  it("emits every result once and in order, however many steps are ahead and however batches arrive", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer(), { maxLength: 4 }), { maxLength: 6 }),
        fc.integer({ min: 0, max: 5 }),
        (chunks, ahead) => {
          let open = 0
          let most = 0
          const results = Stream.fromIterable(chunks).pipe(
            Stream.flatMap(Stream.fromIterable),
            Pipeline.steps({
              ahead,
              submit: (batch: number) => {
                most = Math.max(most, ++open)
                return Effect.succeed(Effect.succeed(batch))
              }
            }),
            Stream.tap(() => Effect.sync(() => void open--)),
            Stream.runCollect
          )
          return Effect.runPromise(results).then((values) => {
            assert.deepStrictEqual(Array.from(values), chunks.flat())
            assert.isAtMost(most, ahead + 1)
          })
        }
      )
    ))

  it.effect("emits the results of submitted steps when the batches fail", () =>
    Effect.gen(function* () {
      const { deliver, events, submit } = makeService()
      const exit = yield* drain(
        Stream.range(0, 2).pipe(
          Stream.concat(Stream.fail("no more data")),
          Pipeline.steps({ submit, ahead: 5 }),
          Stream.tap(deliver)
        )
      )
      assert.deepStrictEqual(exit, Exit.fail("no more data"))
      assert.deepStrictEqual(events.slice(-3), ["result 0", "result 1", "result 2"])
    })
  )

  it.effect("waits for submitted steps when a step fails, and submits no more", () =>
    Effect.gen(function* () {
      const { deliver, events, submit } = makeService({ failing: 1 })
      const fiber = yield* Stream.range(0, 9).pipe(
        Pipeline.steps({ submit, ahead: 2 }),
        Stream.tap(deliver),
        Stream.runDrain,
        Effect.exit,
        Effect.zip(Clock.currentTimeMillis),
        Effect.fork
      )
      yield* TestClock.adjust("1 hour")
      const [exit, ended] = yield* Fiber.join(fiber)
      assert.deepStrictEqual(exit, Exit.fail("step 1 failed"))
      assert.deepStrictEqual(events, ["submit 0", "submit 1", "submit 2", "result 0", "submit 3"])
      assert.strictEqual(ended, 40_000)
    })
  )

  it.effect("trains with a training client", () =>
    Effect.gen(function* () {
      const http = yield* embedded.make()
      const losses = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: embedded.baseModel })
        const batch = [Datum.fromPromptCompletion([1, 2], [3, 4])]
        const results = Stream.repeatValue(batch).pipe(
          Stream.take(5),
          Pipeline.steps({
            submit: (batch) =>
              Effect.zipWith(
                training.forwardBackward(batch, "cross_entropy"),
                training.optimStep({ learning_rate: 0.5 }),
                (forward, update) => Effect.all([Fiber.join(forward), Fiber.join(update)])
              )
          })
        )
        return Array.from(yield* Stream.runCollect(results), ([output]) => output.metrics["loss:sum"]!)
      }).pipe(Effect.scoped, Effect.provide(connect(http)))
      assert.strictEqual(losses.length, 5)
      for (let i = 1; i < losses.length; i++) assert.isBelow(losses[i]!, losses[i - 1]!)
    }).pipe(Effect.scoped)
  )
})
