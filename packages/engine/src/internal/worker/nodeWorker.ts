/** The entry point of the thread of `NodeWorkerEngine`: runs a `JaxEngine` and performs the calls of its messages. */
import * as Engine from "@effect-tinker/server/Engine"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import { parentPort, workerData } from "node:worker_threads"
import * as JaxEngine from "../../JaxEngine.ts"
import type { LocalEngine } from "../engine/engine.ts"
import { completeUnsafe, makeFibers } from "../effect/runtime.ts"
import * as handles from "./handles.ts"
import * as protocol from "./protocol.ts"
import { makeTurns } from "./remoteTurns.ts"
import { buffersOf } from "./transferables.ts"

const post = (response: protocol.Response, transferred: ReadonlyArray<ArrayBuffer> = []): void =>
  parentPort!.postMessage(response, transferred)

const encodeFailure = Schema.encodeSync(protocol.Failure)

/** Sends log messages to the caller's thread, which logs them. */
const logger = Logger.make(({ logLevel, message }) => {
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  post({ _tag: "Log", level: logLevel._tag, message: parts.map(String).join(" ") })
})

const toResponse = (id: number, exit: Exit.Exit<unknown, Engine.EngineError>): protocol.CallResponse => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", id, value: exit.value }
  const failure = Cause.failureOrCause(exit.cause)
  if (Either.isLeft(failure)) return { _tag: "Failure", id, error: encodeFailure(failure.left) }
  if (Cause.isInterruptedOnly(exit.cause)) return { _tag: "Interrupted", id }
  return { _tag: "Defect", id, message: Cause.pretty(exit.cause) }
}

const respond = (id: number, exit: Exit.Exit<unknown, Engine.EngineError>): void =>
  post(toResponse(id, exit), Exit.isSuccess(exit) ? buffersOf(exit.value) : [])

/** Sends the tokens of a call, those of one step together. */
const sendTokens = (id: number): Engine.SampleOptions["onToken"] => {
  let tokens: Array<Engine.SampledToken> = []
  return (sampled) => {
    tokens.push(sampled)
    if (tokens.length > 1) return
    queueMicrotask(() => {
      post({ _tag: "Sampled", id, tokens })
      tokens = []
    })
  }
}

/** Serves calls until a message asks to close. */
const serve = Effect.gen(function* () {
  const engine = yield* JaxEngine.make(workerData as JaxEngine.Options)
  // finalizers run in reverse order: calls end first, then objects are released, then the engine closes
  const objects = yield* handles.make(engine)
  const calls = yield* makeFibers<Engine.EngineError>()
  const turns = yield* makeTurns((id, parts) => post({ _tag: "Yield", id, parts }))
  const closed = yield* Deferred.make<void>()
  parentPort!.on("message", (request: protocol.Request) => {
    switch (request._tag) {
      case "Call": {
        const { call, id } = request
        const performed = handles
          .perform(objects, call, sendTokens(id))
          .pipe(Effect.provideService(Engine.CurrentTurn, turns.of(id)))
        calls.fork(
          id,
          Effect.onExit(performed, (exit) => Effect.sync(() => respond(id, exit)))
        )
        return
      }
      case "Interrupt":
        calls.interrupt(request.id)
        return
      case "Resume":
        turns.resume(request.id)
        return
      case "Close":
        completeUnsafe(closed, Effect.void)
    }
  })
  const { memory } = engine as LocalEngine
  post({ _tag: "Ready", offer: { models: engine.models, losses: engine.losses, batch: engine.batch, memory } })
  yield* Deferred.await(closed)
})

serve.pipe(
  Effect.scoped,
  Effect.catchAll((error) => Effect.sync(() => post({ _tag: "NotReady", error: encodeFailure(error) }))),
  Effect.andThen(Effect.sync(() => post({ _tag: "Closed" }))),
  Effect.provide([NodeFileSystem.layer, NodePath.layer, Logger.replace(Logger.defaultLogger, logger)]),
  Logger.withMinimumLogLevel(LogLevel.All),
  Effect.runFork
)
