/** Runs that train in the background: each has events that anyone may follow from the first one on, and can be cancelled. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

export interface Request {
  readonly base_model: string
  readonly data: ReadonlyArray<Datum.For<"cross_entropy">>
  readonly steps: number
  readonly learning_rate: number
}

export type Event =
  | { readonly type: "step"; readonly step: number; readonly loss: number }
  | { readonly type: "done"; readonly path: string }
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "cancelled" }

/** Trains, tells each loss, and returns the path of the weights. */
export const train = <E, R>(
  service: ServiceClient.Service,
  { base_model, data, learning_rate, steps }: Request,
  onStep: (step: number, loss: number) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    const training = yield* service.createLoraTrainingClient({ base_model, rank: 8 })
    for (let step = 0; step < steps; step++) {
      const pass = yield* training.forwardBackward(data, "cross_entropy")
      const update = yield* training.optimStep({ learning_rate })
      const [{ metrics }] = yield* Effect.all([Fiber.join(pass), Fiber.join(update)])
      yield* onStep(step, metrics["loss:sum"] ?? Number.NaN)
    }
    const { path } = yield* Fiber.join(yield* training.saveWeightsForSampler("trained"))
    return path
  }).pipe(Effect.scoped)

export interface Service {
  /** starts a run, and returns its id */
  readonly start: (request: Request) => Effect.Effect<string>
  /** the events of a run, from the first to the last; none if there is no such run */
  readonly events: (id: string) => Option.Option<Stream.Stream<Event>>
  /** ends a run; one that has ended stays as it is */
  readonly cancel: (id: string) => Effect.Effect<void>
}

export class Runs extends Context.Tag("examples/fine-tuning/Runs")<Runs, Service>() {}

const lastEvent: (exit: Exit.Exit<string, unknown>) => Event = Exit.match({
  onSuccess: (path) => ({ type: "done", path }),
  onFailure: (cause) =>
    Cause.isInterrupted(cause) ? { type: "cancelled" } : { type: "failed", reason: Cause.pretty(cause) }
})

export const layer = Layer.scoped(
  Runs,
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    // what still runs is interrupted when the server ends
    const fibers = yield* FiberMap.make<string>()
    const logs = new Map<string, SubscriptionRef.SubscriptionRef<ReadonlyArray<Event>>>()

    const start = Effect.fnUntraced(function* (request: Request) {
      const id = `run-${logs.size + 1}`
      const log = yield* SubscriptionRef.make<ReadonlyArray<Event>>([])
      logs.set(id, log)
      const tell = (event: Event) => SubscriptionRef.update(log, (events) => [...events, event])
      const begun = yield* Deferred.make<void>()
      const run = Effect.uninterruptibleMask((restore) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.andThen(restore(train(service, request, (step, loss) => tell({ type: "step", step, loss })))),
          Effect.exit,
          Effect.flatMap((exit) => tell(lastEvent(exit)))
        )
      )
      yield* FiberMap.run(fibers, id, run)
      // from here on, a run that is cancelled says so
      yield* Deferred.await(begun)
      return id
    })

    const events = (id: string) =>
      Option.map(Option.fromNullable(logs.get(id)), ({ changes }) =>
        changes.pipe(
          Stream.mapAccum(0, (told, all) => [all.length, all.slice(told)]),
          Stream.flattenIterables,
          Stream.takeUntil(({ type }) => type !== "step")
        )
      )

    return { start, events, cancel: (id) => FiberMap.remove(fibers, id) } satisfies Service
  })
)
