/**
 * The engine of `JaxEngine` in a thread of its own, so that heartbeats, polls and timers of the program that uses it stay
 * prompt while it computes. It needs `node:worker_threads`; where there is none, `JaxEngine` computes on the thread that
 * calls it.
 *
 * ```ts
 * import * as NodeWorkerEngine from "@effect-tinker/engine/NodeWorkerEngine"
 *
 * const EngineLive = NodeWorkerEngine.layer()
 * ```
 *
 * - Results are the same, to the bit. What is given is copied to the thread, what comes back is moved.
 * - An interruption ends when the thread has let go of the work, which is after the run that it computes. A pass that was
 *   done when the interruption reached it counts as done.
 * - The thread ends with the scope, after the run that it computes. It does not keep the process alive while it is idle.
 * - If the thread crashes, as it does when it runs out of memory, what it was doing fails with an `EngineError`, and so
 *   does all that its models and samplers are asked for later: they are lost. New ones are made in a new thread.
 *
 * @since 0.1.0
 */
import * as Engine from "@effect-tinker/server/Engine"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { serverError } from "./internal/util/errors.ts"
import type * as protocol from "./internal/worker/protocol.ts"
import { Failure } from "./internal/worker/protocol.ts"
import type * as JaxEngine from "./JaxEngine.ts"
import type * as ModelDirectory from "./ModelDirectory.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type Options = JaxEngine.Options

/** How long the thread may take to end by itself. It is that of the wall: a clock of tests would stand still. */
const patience = Effect.withClock(Effect.sleep("10 seconds"), Clock.make())

const spawn = (options: Options): Worker => {
  const settings = { name: "effect-tinker-engine", workerData: options }
  return import.meta.url.endsWith(".ts")
    ? new Worker(new URL("./internal/worker/nodeWorkerFromSources.mjs", import.meta.url), {
        ...settings,
        execArgv: ["--conditions=effect-tinker-source"]
      })
    : new Worker(new URL("./internal/worker/nodeWorker.js", import.meta.url), settings)
}

type StartError = ModelDirectory.ModelDirectoryError | Engine.EngineError

interface Thread {
  readonly models: ReadonlyArray<Engine.BaseModel>
  readonly isLost: () => boolean
  readonly call: <M extends protocol.Method>(
    call: protocol.Call<M>
  ) => Effect.Effect<protocol.Results[M], Engine.EngineError>
}

const decodeFailure = Schema.decodeSync(Failure)

const start = (options: Options): Effect.Effect<Thread, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime()
    const ready = yield* Deferred.make<ReadonlyArray<Engine.BaseModel>, StartError>()
    const exited = yield* Deferred.make<void>()
    const waiting = new Map<number, (result: Effect.Effect<unknown, Engine.EngineError>) => void>()
    let state: "running" | "closing" | "lost" = "running"
    let crash: unknown
    let lastId = 0

    const lost = () =>
      serverError(
        state === "closing"
          ? "the engine has been closed"
          : "the thread of the engine ended, and the models and samplers in it are lost: create them anew, and load " +
              "their last checkpoint. If it ran out of memory, use smaller models, shorter inputs or a lower " +
              "maxTokensPerRun",
        crash
      )

    const settle = (id: number, result: Effect.Effect<unknown, Engine.EngineError>) => {
      const resume = waiting.get(id)
      waiting.delete(id)
      if (waiting.size === 0 && state !== "closing") worker.unref()
      resume?.(result)
    }

    const receive = (response: protocol.Response): void => {
      switch (response._tag) {
        case "Ready":
          if (waiting.size === 0) worker.unref()
          return Deferred.unsafeDone(ready, Effect.succeed(response.models))
        case "NotReady":
          return Deferred.unsafeDone(ready, Effect.fail(decodeFailure(response.error)))
        case "Success":
          return settle(response.id, Effect.succeed(response.value))
        case "Failure": {
          const error = decodeFailure(response.error)
          return settle(
            response.id,
            error._tag === "EngineError" ? Effect.fail(error) : Effect.fail(serverError(error.message, error))
          )
        }
        case "Defect":
          return settle(response.id, Effect.die(new Error(response.message)))
        case "Interrupted":
          return settle(response.id, Effect.interrupt)
        case "Log":
          Runtime.runFork(runtime)(
            Effect.logWithLevel(LogLevel.fromLiteral(response.level as LogLevel.Literal), response.message)
          )
          return
        case "Closed":
          state = state === "lost" ? "lost" : "closing"
          void worker.terminate()
      }
    }

    const worker = yield* Effect.try({
      try: () => spawn(options),
      catch: (cause) => serverError("no thread could be started for the engine: use JaxEngine in its place", cause)
    })
    worker.on("message", receive)
    worker.on("error", (cause) => {
      crash = cause
    })
    worker.on("messageerror", (cause) => {
      crash = cause
      void worker.terminate()
    })
    worker.on("exit", (code) => {
      if (state === "running") state = "lost"
      crash ??= new Error(`the thread ended with code ${code}`)
      const error = lost()
      Deferred.unsafeDone(ready, Effect.fail(error))
      Deferred.unsafeDone(exited, Effect.void)
      const left = [...waiting.values()]
      waiting.clear()
      for (const resume of left) resume(Effect.fail(error))
    })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        if (state === "lost") return
        state = "closing"
        worker.ref()
        worker.postMessage({ _tag: "Close" } satisfies protocol.Request)
        // a finalizer cannot be interrupted, but its waiting must be
        yield* Effect.raceFirst(Effect.interruptible(Deferred.await(exited)), Effect.interruptible(patience))
        yield* Effect.promise(() => worker.terminate())
      })
    )

    const send = (request: protocol.Request): void => {
      worker.ref()
      worker.postMessage(request)
    }

    const call = (call: protocol.Call): Effect.Effect<unknown, Engine.EngineError> =>
      Effect.async((resume) => {
        if (state !== "running") return resume(Effect.fail(lost()))
        const id = (lastId += 1)
        waiting.set(id, resume)
        try {
          send({ _tag: "Call", id, call })
        } catch (cause) {
          settle(id, Effect.fail(serverError("the call could not be sent to the thread of the engine", cause)))
          return
        }
        // whoever interrupts goes on when the thread has let go
        return Effect.async<void>((resume) => {
          if (!waiting.has(id)) return resume(Effect.void)
          waiting.set(id, () => resume(Effect.void))
          send({ _tag: "Interrupt", id })
        })
      })

    return {
      models: yield* Deferred.await(ready),
      isLost: () => state === "lost",
      call: call as Thread["call"]
    }
  })

const newSeed = Random.nextIntBetween(0, 2 ** 31)

/**
 * An engine in a thread of its own. The scope ends the thread.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Engine.Service, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const lock = yield* Effect.makeSemaphore(1)
    let last = yield* start(options)
    const current = lock.withPermits(1)(
      Effect.suspend(() =>
        last.isLost()
          ? start(options).pipe(
              Scope.extend(scope),
              Effect.tap((thread) => {
                last = thread
              }),
              Effect.mapError((error) =>
                error._tag === "EngineError" ? error : serverError(`the engine cannot start: ${error.message}`, error)
              )
            )
          : Effect.succeed(last)
      )
    )
    let lastHandle = 0

    /** A handle that is let go with the scope, whether or not anything was made of it. */
    const handleIn = (thread: Thread) =>
      Effect.acquireRelease(
        Effect.sync(() => (lastHandle += 1)),
        // where the thread has ended, so have its handles
        (handle) => Effect.ignore(thread.call({ method: "release", handle }))
      )

    const engine: Engine.Service = {
      models: last.models,
      createModel: ({ base_model, lora_config }) =>
        Effect.gen(function* () {
          const thread = yield* current
          const handle = yield* handleIn(thread)
          // chance is the caller's
          const seed = lora_config.seed ?? (yield* newSeed)
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
        }),
      createSampler: ({ adapter, base_model }) =>
        Effect.gen(function* () {
          const thread = yield* current
          const handle = yield* handleIn(thread)
          yield* thread.call({ method: "createSampler", handle, base_model, adapter })
          return {
            sample: (options) =>
              Effect.gen(function* () {
                const seed = options.sampling_params.seed ?? (yield* newSeed)
                const sampling_params = { ...options.sampling_params, seed }
                return yield* thread.call({ method: "sample", handle, options: { ...options, sampling_params } })
              })
          }
        })
    }
    return engine
  })

/**
 * The engine in a thread of its own, as a service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Engine.Engine, StartError> =>
  Layer.scoped(Engine.Engine, make(options))
