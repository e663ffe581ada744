/** What the thread of an engine does on every platform: runs a `JaxEngine`, and performs the calls of its messages. */
import * as Engine from "@effect-tinker/server/Engine"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as JaxEngine from "../../JaxEngine.ts"
import type { LocalEngine } from "../engine/engine.ts"
import { completeUnsafe, makeFibers } from "../effect/runtime.ts"
import * as handles from "./handles.ts"
import * as protocol from "./protocol.ts"
import { makeTurns } from "./remoteTurns.ts"
import { buffersOf } from "./transferables.ts"

/** The thread's end of the connection. @internal */
export interface Port {
  readonly post: (response: protocol.Response, transferred: ReadonlyArray<ArrayBuffer>) => void
  /** Calls `receive` with each message from now on. */
  readonly listen: (receive: (request: protocol.Request) => void) => void
}

type Post = (response: protocol.Response, transferred?: ReadonlyArray<ArrayBuffer>) => void

const encodeFailure = Schema.encodeSync(protocol.Failure)

/** Sends log messages to the caller's thread, which logs them. */
const makeLogger = (post: Post) =>
  Logger.make(({ logLevel, message }) => {
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

/** Sends the tokens of a call, those of one step together. */
const sendTokens = (post: Post, id: number): Engine.SampleOptions["onToken"] => {
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

type InEngine = Extract<protocol.Request, { readonly _tag: "Call" | "Interrupt" | "Resume" }>

/** Performs what messages ask of an engine. Calls end with the scope, before the objects that they use. */
const performIn = (engine: Engine.Service, post: Post) =>
  Effect.gen(function* () {
    // finalizers run in reverse order: calls end first, then objects are released, then the engine closes
    const objects = yield* handles.make(engine)
    const calls = yield* makeFibers<Engine.EngineError>()
    const turns = yield* makeTurns((id, parts) => post({ _tag: "Yield", id, parts }))
    const respond = (id: number, exit: Exit.Exit<unknown, Engine.EngineError>): void =>
      post(toResponse(id, exit), Exit.isSuccess(exit) ? buffersOf(exit.value) : [])
    return (request: InEngine): void => {
      switch (request._tag) {
        case "Call": {
          const { call, id } = request
          const performed = handles
            .perform(objects, call, sendTokens(post, id))
            .pipe(Effect.provideService(Engine.CurrentTurn, turns.of(id)))
          calls.fork(
            id,
            Effect.onExit(performed, (exit) => Effect.sync(() => respond(id, exit)))
          )
          return
        }
        case "Interrupt":
          return calls.interrupt(request.id)
        case "Resume":
          return turns.resume(request.id)
      }
    }
  })

/** Makes the engine and serves calls, until it is interrupted. */
const run = (options: JaxEngine.Options, post: Post, performBy: (perform: (request: InEngine) => void) => void) =>
  Effect.gen(function* () {
    const engine = yield* JaxEngine.make(options)
    performBy(yield* performIn(engine, post))
    const { memory } = engine as LocalEngine
    post({ _tag: "Ready", offer: { models: engine.models, losses: engine.losses, batch: engine.batch, memory } })
    return yield* Effect.never
  })

/**
 * Serves the calls of the caller of a thread, until it asks to close. It listens at once, so that no message is missed.
 *
 * @internal
 */
export const serve = (
  port: Port,
  platform: Layer.Layer<FileSystem.FileSystem | Path.Path, Engine.EngineError>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const post: Post = (response, transferred = []) => port.post(response, transferred)
    const started = yield* Deferred.make<JaxEngine.Options>()
    const closed = yield* Deferred.make<void>()
    // the caller sends calls when the engine is ready, so that none comes before
    let perform = (_request: InEngine): void => {}
    port.listen((request) => {
      if (request._tag === "Start") return completeUnsafe(started, Effect.succeed(request.options))
      if (request._tag === "Close") return completeUnsafe(closed, Effect.void)
      perform(request)
    })
    const running = Effect.flatMap(Deferred.await(started), (options) => run(options, post, (now) => (perform = now)))
    yield* Effect.raceFirst(running, Deferred.await(closed)).pipe(
      Effect.scoped,
      Effect.provide(platform),
      Effect.catchAll((error) => Effect.sync(() => post({ _tag: "NotReady", error: encodeFailure(error) }))),
      Effect.provide(Logger.replace(Logger.defaultLogger, makeLogger(post))),
      Logger.withMinimumLogLevel(LogLevel.All)
    )
    post({ _tag: "Closed" })
  })
