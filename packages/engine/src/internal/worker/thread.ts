/** The caller's side of the thread: sends calls, delivers responses, and ends it. The platform starts it. */
import * as Engine from "@effect-tinker/server/Engine"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as JaxEngine from "../../JaxEngine.ts"
import type * as ModelDirectory from "../../ModelDirectory.ts"
import { completeUnsafe, forkFromCallbacks } from "../effect/runtime.ts"
import { serverError } from "../util/errors.ts"
import * as protocol from "./protocol.ts"

/** @internal */
export type StartError = ModelDirectory.ModelDirectoryError | Engine.EngineError

/** A thread with an engine. @internal */
export interface Thread {
  readonly offer: protocol.Offer
  /** whether the thread has ended without being closed */
  readonly isLost: () => boolean
  /** An interruption waits until the call has ended in the thread. */
  readonly call: <M extends protocol.Method>(
    call: protocol.Call<M>,
    /** for a sample that streams */
    onToken?: Engine.SampleOptions["onToken"]
  ) => Effect.Effect<protocol.Results[M], Engine.EngineError>
}

type Result = Effect.Effect<unknown, Engine.EngineError>

/** How long the thread may take to close. This needs the real clock, since the clock of tests stands still. */
const closeTimeout = Effect.withClock(Effect.sleep("10 seconds"), Clock.make())

const decodeFailure = Schema.decodeSync(protocol.Failure)

const toResult = (response: protocol.CallResponse): Result => {
  switch (response._tag) {
    case "Success":
      return Effect.succeed(response.value)
    case "Failure": {
      const error = decodeFailure(response.error)
      return Effect.fail(error._tag === "EngineError" ? error : serverError(error.message, error))
    }
    case "Defect":
      return Effect.die(new Error(response.message))
    case "Interrupted":
      return Effect.interrupt
  }
}

interface Signals {
  readonly ready: Deferred.Deferred<protocol.Offer, StartError>
  readonly exited: Deferred.Deferred<void>
  readonly log: (level: string, message: string) => void
  readonly fork: (effect: Effect.Effect<unknown>) => void
}

/** A call that waits for its response. */
interface Pending {
  readonly resume: (result: Result) => void
  readonly turn: Engine.Turn
  readonly onToken?: Engine.SampleOptions["onToken"]
}

/** The worker of a platform, which `Events` tell of. @internal */
export interface ThreadWorker {
  readonly post: (request: protocol.Request) => void
  /** Says whether the worker keeps the process alive, on platforms where it could. */
  readonly keepAlive: (isNeeded: boolean) => void
  /** Ends the worker now. `exited` is called then, if it has not been. */
  readonly terminate: () => Promise<unknown>
}

/** What a platform says of its worker. @internal */
export interface Events {
  readonly message: (response: protocol.Response) => void
  /** The worker ends by a fault; `exited` follows. */
  readonly crashed: (cause: unknown) => void
  /** `how` says how it ended, such as with which code. */
  readonly exited: (how: string) => void
}

/** Starts a worker that serves the protocol. May throw. @internal */
export type Spawn = (events: Events) => ThreadWorker

/** The worker and the calls that wait for its responses. */
class Connection {
  private state: "running" | "closing" | "lost" = "running"
  private hasBeenReady = false
  private crash: unknown
  private lastId = 0
  private readonly pending = new Map<number, Pending>()
  private readonly worker: ThreadWorker
  private readonly signals: Signals

  constructor(spawn: Spawn, signals: Signals) {
    this.signals = signals
    this.worker = spawn({
      message: (response) => this.receive(response),
      crashed: (cause) => {
        this.crash = cause
      },
      exited: (how) => this.exited(how)
    })
  }

  /** Lets the thread make its engine. */
  begin(options: JaxEngine.Options): void {
    this.send({ _tag: "Start", options })
  }

  isLost(): boolean {
    return this.state === "lost"
  }

  private endedError(): Engine.EngineError {
    if (!this.hasBeenReady && this.state === "lost") {
      const why = this.crash instanceof Error ? this.crash.message : String(this.crash)
      return serverError(`the thread of the engine cannot be started: ${why}`, this.crash)
    }
    return serverError(
      this.state === "closing"
        ? "the engine has been closed"
        : "the thread of the engine ended, and its models and samplers are lost: create them again, and load their " +
            "last checkpoint. If it ran out of memory, use smaller models, shorter inputs or a lower maxTokensPerRun",
      this.crash
    )
  }

  /** An idle thread does not keep the process alive. */
  private unrefIfIdle(): void {
    if (this.pending.size === 0 && this.state !== "closing") this.worker.keepAlive(false)
  }

  private send(request: protocol.Request): void {
    this.worker.keepAlive(true)
    this.worker.post(request)
  }

  private receive(response: protocol.Response): void {
    switch (response._tag) {
      case "Ready":
        this.hasBeenReady = true
        this.unrefIfIdle()
        return completeUnsafe(this.signals.ready, Effect.succeed(response.offer))
      case "NotReady":
        return completeUnsafe(this.signals.ready, Effect.fail(decodeFailure(response.error)))
      case "Log":
        return this.signals.log(response.level, response.message)
      case "Sampled":
        return this.tell(response.id, response.tokens)
      case "Yield":
        return this.yieldTurns(response.id, response.parts)
      case "Closed":
        if (this.state === "running") this.state = "closing"
        void this.worker.terminate()
        return
      default:
        return this.settle(response.id, toResult(response))
    }
  }

  private settle(id: number, result: Result): void {
    const pending = this.pending.get(id)
    this.pending.delete(id)
    this.unrefIfIdle()
    pending?.resume(result)
  }

  /** Tells a call its tokens, unless it was interrupted. */
  private tell(id: number, tokens: ReadonlyArray<Engine.SampledToken>): void {
    const onToken = this.pending.get(id)?.onToken
    if (onToken !== undefined) for (const token of tokens) onToken(token)
  }

  /** Waits for the next turn of calls, and then lets them continue. */
  private yieldTurns(id: number, parts: ReadonlyArray<readonly [call: number, tokens: number]>): void {
    const turns = parts.flatMap(([call, tokens]) => {
      const turn = this.pending.get(call)?.turn
      return turn === undefined ? [] : [[turn, tokens] as const]
    })
    const resume = Effect.sync(() => {
      if (this.state !== "lost") this.worker.post({ _tag: "Resume", id })
    })
    this.signals.fork(Effect.andThen(Engine.yieldTurns(turns), resume))
  }

  private exited(how: string): void {
    if (this.state === "running") this.state = "lost"
    this.crash ??= new Error(how)
    const error = this.endedError()
    completeUnsafe(this.signals.ready, Effect.fail(error))
    completeUnsafe(this.signals.exited, Effect.void)
    const pending = [...this.pending.values()]
    this.pending.clear()
    for (const { resume } of pending) resume(Effect.fail(error))
  }

  call(call: protocol.Call, onToken: Engine.SampleOptions["onToken"]): Result {
    return Effect.flatMap(Engine.CurrentTurn, (turn) => this.callInTurn(call, turn, onToken))
  }

  private callInTurn(call: protocol.Call, turn: Engine.Turn, onToken: Engine.SampleOptions["onToken"]): Result {
    return Effect.async((resume) => {
      if (this.state !== "running") return resume(Effect.fail(this.endedError()))
      const id = (this.lastId += 1)
      this.pending.set(id, { resume, turn, onToken })
      try {
        this.send({ _tag: "Call", id, call })
      } catch (cause) {
        this.settle(id, Effect.fail(serverError("the call cannot be sent to the thread of the engine", cause)))
        return
      }
      return this.interrupt(id)
    })
  }

  /** Interrupts a call, and waits until it has ended. */
  private interrupt(id: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const pending = this.pending.get(id)
      if (pending === undefined) return resume(Effect.void)
      this.pending.set(id, { turn: pending.turn, resume: () => resume(Effect.void) })
      this.send({ _tag: "Interrupt", id })
    })
  }

  /** Closes the thread; terminates it if it does not end in time. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.state === "lost") return Effect.void
    this.state = "closing"
    this.send({ _tag: "Close" })
    // finalizers are uninterruptible, but the loser of the race must be interruptible
    const exited = Effect.interruptible(Deferred.await(this.signals.exited))
    return Effect.flatMap(Effect.raceFirst(exited, Effect.interruptible(closeTimeout)), () =>
      Effect.promise(() => this.worker.terminate())
    )
  })
}

/** Starts a thread with a `JaxEngine`. The thread ends when the scope closes. @internal */
export const start = (spawn: Spawn, options: JaxEngine.Options): Effect.Effect<Thread, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* forkFromCallbacks
    const ready = yield* Deferred.make<protocol.Offer, StartError>()
    const exited = yield* Deferred.make<void>()
    const log = (level: string, message: string) =>
      fork(Effect.logWithLevel(LogLevel.fromLiteral(level as LogLevel.Literal), message))
    const connection = yield* Effect.acquireRelease(
      Effect.try({
        try: () => new Connection(spawn, { ready, exited, log, fork }),
        catch: (cause) => serverError("the thread of the engine cannot be started: use JaxEngine instead", cause)
      }),
      ({ close }) => close
    )
    yield* Effect.try({
      try: () => connection.begin(options),
      catch: (cause) => serverError("the options of the engine cannot be sent to its thread", cause)
    })
    return {
      offer: yield* Deferred.await(ready),
      isLost: () => connection.isLost(),
      call: ((call: protocol.Call, onToken) => connection.call(call, onToken)) as Thread["call"]
    }
  })
