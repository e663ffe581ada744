/**
 * Checks a training program as a whole, in a few lines of a test: it trains over the real service with a small model, once to
 * the end, and once more with an interruption in the middle, after which it is started again.
 *
 * ```ts
 * it.scopedLive("learns, resumes exactly, and leaves nothing behind", () =>
 *   Effect.gen(function* () {
 *     const { left, losses, resumed } = yield* TrainingCheck.run(train)
 *     assert.isBelow(losses.at(-1)!, losses[0]!)
 *     assert.deepStrictEqual(resumed, losses)
 *     assert.deepStrictEqual(left, [])
 *   })
 * )
 * ```
 *
 * The program takes the `HttpClient` that it is given here, and records its run in the directory that it is given. It runs in
 * real time, since it may read files: use `it.live` or `it.scopedLive`.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Simulation from "./Simulation.ts"
import * as TestServer from "./TestServer.ts"

/**
 * What came of the runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  /** the losses of the run that was not interrupted */
  readonly losses: ReadonlyArray<number>
  /** those of the run that was interrupted and started again: equal, if it resumes exactly */
  readonly resumed: ReadonlyArray<number>
  /** optimizer steps that had been sent when it was interrupted */
  readonly interruptedAfter: number
  /** the fibers that outlived the runs: the number of each, and the span in which it was forked */
  readonly left: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** optimizer steps after which the second run is interrupted; half of them by default */
  readonly interruptAfter?: number | undefined
  readonly server?: TestServer.Options | undefined
}

/**
 * The program cannot be interrupted in the middle: it sends too few optimizer steps, or has ended before.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotInterrupted extends Schema.TaggedError<NotInterrupted>(
  "@effect-tinker/testing/TrainingCheck/NotInterrupted"
)("NotInterrupted", { steps: Schema.Int, interruptAfter: Schema.Int }) {
  override get message(): string {
    return (
      `the program sends ${this.steps} optimizer steps, so it was not interrupted after ${this.interruptAfter}: ` +
      "let it train for two steps or more, through the HttpClient that it is given"
    )
  }
}

/** A client that counts the optimizer steps that are sent, and succeeds with the first one behind `limit`. */
const counting = (client: HttpClient.HttpClient, limit: number) =>
  Effect.map(Deferred.make<void>(), (reached) => {
    const count = { steps: 0 }
    const counted = HttpClient.mapRequestEffect(client, (request) =>
      Effect.gen(function* () {
        if (!new URL(request.url, "http://service.test").pathname.endsWith("/optim_step")) return request
        if (count.steps === limit) {
          yield* Deferred.succeed(reached, undefined)
          return yield* Effect.never
        }
        count.steps += 1
        return request
      })
    )
    return { client: counted, count, reached: Deferred.await(reached) }
  })

/**
 * Runs a program to its end, and again with an interruption. The program returns the losses of all of its steps, also in the
 * part that resumes. Its own failures are those of the check.
 *
 * @param train the program, given the directory of its run
 * @since 0.1.0
 * @category running
 */
export const run = <E, R>(
  train: (directory: string) => Effect.Effect<ReadonlyArray<number>, E, R>,
  { interruptAfter, server = {} }: Options = {}
): Effect.Effect<Report, E | NotInterrupted, Exclude<R, HttpClient.HttpClient> | FileSystem.FileSystem> =>
  Simulation.counting((left) =>
    Effect.gen(function* () {
      const whole = yield* inFull(train, server)
      const limit = interruptAfter ?? Math.floor(whole.steps / 2)
      const resumed = yield* inParts(train, server, { limit, steps: whole.steps })
      return { losses: whole.losses, resumed, interruptedAfter: limit, left: yield* left }
    })
  )

type Train<E, R> = (directory: string) => Effect.Effect<ReadonlyArray<number>, E, R>

/** The directory of a run, which is removed afterwards. */
const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  Effect.orDie(fs.makeTempDirectoryScoped({ prefix: "training-check-" }))
)

const inFull = <E, R>(train: Train<E, R>, options: TestServer.Options) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(options)
    const { client, count } = yield* counting(server.client, Number.POSITIVE_INFINITY)
    const losses = yield* Effect.provideService(train(yield* temporary), HttpClient.HttpClient, client)
    return { losses, steps: count.steps }
  }).pipe(Effect.scoped)

const inParts = <E, R>(
  train: Train<E, R>,
  options: TestServer.Options,
  { limit, steps }: { readonly limit: number; readonly steps: number }
) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(options)
    const directory = yield* temporary
    const { client, reached } = yield* counting(server.client, limit)
    const interrupted = yield* train(directory).pipe(
      Effect.provideService(HttpClient.HttpClient, client),
      Effect.asSome,
      Effect.raceFirst(Effect.as(reached, Option.none()))
    )
    if (limit < 1 || Option.isSome(interrupted)) return yield* new NotInterrupted({ steps, interruptAfter: limit })
    return yield* Effect.provideService(train(directory), HttpClient.HttpClient, server.client)
  }).pipe(Effect.scoped)
