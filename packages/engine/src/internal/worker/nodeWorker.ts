/** What runs in the thread of `NodeWorkerEngine`: an engine, and the calls of it that messages ask for. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { parentPort, workerData } from "node:worker_threads"
import * as JaxEngine from "../../JaxEngine.ts"
import { serverError } from "../util/errors.ts"
import * as protocol from "./protocol.ts"

const post = (response: protocol.Response, moved: ReadonlyArray<ArrayBuffer> = []): void =>
  parentPort!.postMessage(response, moved)

const encodeFailure = Schema.encodeSync(protocol.Failure)

const logger = Logger.make(({ logLevel, message }) => {
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  post({ _tag: "Log", level: logLevel._tag, message: parts.map(String).join(" ") })
})

interface Held {
  readonly object: Engine.EngineModel | Engine.EngineSampler
  readonly scope: Scope.CloseableScope
}

const serve = Effect.gen(function* () {
  const engine = yield* JaxEngine.make(workerData as protocol.Start)
  // calls end before what they work on, and that before the engine
  const resources = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const held = new Map<number, Held>()
  const calls = yield* FiberMap.make<number>()
  const run = yield* FiberMap.runtime(calls)()
  const closed = yield* Deferred.make<void>()

  const create = <A extends Held["object"]>(
    handle: number,
    make: Effect.Effect<A, Engine.EngineError, Scope.Scope>
  ): Effect.Effect<void, Engine.EngineError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(resources, ExecutionStrategy.sequential)
        const object = yield* restore(Scope.extend(make, scope)).pipe(
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        held.set(handle, { object, scope })
      })
    )

  const release = (handle: number) =>
    Effect.suspend(() => {
      const found = held.get(handle)
      held.delete(handle)
      return found === undefined ? Effect.void : Scope.close(found.scope, Exit.void)
    })

  const find = <K extends string>(handle: number, method: K) => {
    const object = held.get(handle)?.object
    return object !== undefined && method in object
      ? Effect.succeed(object as Extract<Held["object"], { readonly [_ in K]: unknown }>)
      : Effect.fail(serverError("it was released before", undefined))
  }

  const perform = (call: protocol.Call): Effect.Effect<unknown, Engine.EngineError> => {
    switch (call.method) {
      case "createModel":
        return create(call.handle, engine.createModel(call))
      case "createSampler":
        return create(call.handle, engine.createSampler(call))
      case "release":
        return release(call.handle)
      case "forward":
        return Effect.flatMap(find(call.handle, "forward"), (model) => model.forward(call.options))
      case "forwardBackward":
        return Effect.flatMap(find(call.handle, "forwardBackward"), (model) => model.forwardBackward(call.options))
      case "optimStep":
        return Effect.flatMap(find(call.handle, "optimStep"), (model) => model.optimStep(call.params))
      case "adapter":
        return Effect.flatMap(find(call.handle, "adapter"), (model) => model.adapter)
      case "optimizer":
        return Effect.flatMap(find(call.handle, "optimizer"), (model) => model.optimizer)
      case "load":
        return Effect.flatMap(find(call.handle, "load"), (model) => model.load(call.adapter, call.optimizer))
      case "sample":
        return Effect.flatMap(find(call.handle, "sample"), (sampler) => sampler.sample(call.options))
    }
  }

  const answer = (id: number, exit: Exit.Exit<unknown, Engine.EngineError>): void => {
    if (Exit.isSuccess(exit)) return post({ _tag: "Success", id, value: exit.value }, protocol.buffersOf(exit.value))
    const failure = Cause.failureOrCause(exit.cause)
    if (Either.isLeft(failure)) return post({ _tag: "Failure", id, error: encodeFailure(failure.left) })
    if (Cause.isInterruptedOnly(exit.cause)) return post({ _tag: "Interrupted", id })
    return post({ _tag: "Defect", id, message: Cause.pretty(exit.cause) })
  }

  parentPort!.on("message", (request: protocol.Request) => {
    switch (request._tag) {
      case "Call":
        run(
          request.id,
          Effect.onExit(perform(request.call), (exit) => Effect.sync(() => answer(request.id, exit)))
        )
        return
      case "Interrupt": {
        const fiber = FiberMap.unsafeGet(calls, request.id)
        if (Option.isSome(fiber)) fiber.value.unsafeInterruptAsFork(fiber.value.id())
        return
      }
      case "Close":
        Deferred.unsafeDone(closed, Effect.void)
    }
  })
  post({ _tag: "Ready", models: engine.models })
  yield* Deferred.await(closed)
})

serve.pipe(
  Effect.scoped,
  Effect.catchAll((error) => Effect.sync(() => post({ _tag: "NotReady", error: encodeFailure(error) }))),
  Effect.zipRight(Effect.sync(() => post({ _tag: "Closed" }))),
  Effect.provide([NodeFileSystem.layer, NodePath.layer, Logger.replace(Logger.defaultLogger, logger)]),
  Logger.withMinimumLogLevel(LogLevel.All),
  Effect.runFork
)
