/** An engine whose models and samplers live in a thread. If the thread is lost, new ones get a new thread. */
import type * as Model from "@effect-tinker/api/Model"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { makeLock } from "../effect/runtime.ts"
import * as demands from "../engine/demands.ts"
import * as passProblem from "../training/passProblem.ts"
import { serverError } from "../util/errors.ts"
import type { StartError, Thread } from "./thread.ts"

/** Seeds are drawn from the caller's `Random`, not from that of the thread. */
const drawSeed = Random.nextIntBetween(0, 2 ** 31)

/** Allocates a handle, which is released with the scope, whether or not an object was created. */
const acquireHandle = (thread: Thread, next: () => number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(next), (handle) =>
    // fails if the thread has ended, and its objects with it
    Effect.ignore(thread.call({ method: "release", handle }))
  )

const createModel = (
  thread: Thread,
  handle: number,
  base_model: string,
  lora_config: Model.LoraConfig
): Effect.Effect<Engine.EngineModel, Engine.EngineError> =>
  Effect.gen(function* () {
    const seed = lora_config.seed ?? (yield* drawSeed)
    yield* thread.call({ method: "createModel", handle, base_model, lora_config: { ...lora_config, seed } })
    const model: Engine.EngineModel = {
      forward: (options) => thread.call({ method: "forward", handle, options }),
      forwardBackward: (options) => thread.call({ method: "forwardBackward", handle, options }),
      optimStep: (params) => thread.call({ method: "optimStep", handle, params }),
      adapter: thread.call({ method: "adapter", handle }),
      optimizer: thread.call({ method: "optimizer", handle }),
      load: (adapter, optimizer) => thread.call({ method: "load", handle, adapter, optimizer })
    }
    return model
  })

const sample = (thread: Thread, handle: number, { onToken, ...options }: Engine.SampleOptions) =>
  Effect.gen(function* () {
    const seed = options.sampling_params.seed ?? (yield* drawSeed)
    const seeded = { ...options, sampling_params: { ...options.sampling_params, seed } }
    return yield* thread.call({ method: "sample", handle, options: seeded, streams: onToken !== undefined }, onToken)
  })

const createSampler = (
  thread: Thread,
  handle: number,
  base_model: string,
  adapter: Engine.Adapter | undefined
): Effect.Effect<Engine.EngineSampler, Engine.EngineError> =>
  Effect.map(thread.call({ method: "createSampler", handle, base_model, adapter }), () => ({
    sample: (options) => sample(thread, handle, options)
  }))

/** The current thread. If it is lost, starts another one, which ends with `scope`. */
const makeCurrentThread = (
  first: Thread,
  start: Effect.Effect<Thread, StartError, Scope.Scope>,
  scope: Scope.Scope
): Effect.Effect<Effect.Effect<Thread, Engine.EngineError>> =>
  Effect.map(makeLock, ({ withLock }) => {
    let current = first
    const restart = Scope.extend(start, scope).pipe(
      Effect.tap((thread) => {
        current = thread
      }),
      Effect.mapError((error) =>
        error._tag === "EngineError" ? error : serverError(`the engine cannot start: ${error.message}`, error)
      )
    )
    return withLock(Effect.suspend(() => (current.isLost() ? restart : Effect.succeed(current))))
  })

/** An engine over the threads that `start` starts. @internal */
export const make = (
  start: Effect.Effect<Thread, StartError, Scope.Scope>
): Effect.Effect<Engine.Service, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const first = yield* start
    const { memory, ...offer } = first.offer
    const currentThread = yield* makeCurrentThread(first, start, scope)
    let lastHandle = 0
    const nextHandle = () => (lastHandle += 1)
    const engine: Engine.Service = {
      ...offer,
      demandProblem: demands.problemOf(memory),
      concurrency: 2,
      // the thread runs the same engine
      scoring: Engine.scoringOptions,
      schemas: true,
      // here, since the thread may be in the middle of a computation
      passProblem: passProblem.make(first.offer.models),
      createModel: ({ base_model, lora_config }) =>
        Effect.gen(function* () {
          const thread = yield* currentThread
          const handle = yield* acquireHandle(thread, nextHandle)
          return yield* createModel(thread, handle, base_model, lora_config)
        }),
      createSampler: ({ adapter, base_model }) =>
        Effect.gen(function* () {
          const thread = yield* currentThread
          const handle = yield* acquireHandle(thread, nextHandle)
          return yield* createSampler(thread, handle, base_model, adapter)
        })
    }
    return engine
  })
