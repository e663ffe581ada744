/** A service whose process ends and starts again: what its store and its checkpoints have is carried over. */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type HttpClientErrors, requestError } from "../effect/httpErrors.ts"
import type * as TestEngine from "../../TestEngine.ts"
import * as TestServer from "../../TestServer.ts"

/** Whether a process has ended. */
interface Life {
  isDead: boolean
}

/** One process of the service. */
interface Process extends Life {
  readonly server: TestServer.TestServer
  readonly scope: Scope.CloseableScope
  readonly ended: Deferred.Deferred<void>
}

/** @internal */
export interface MortalServer {
  readonly client: HttpClient.HttpClient
  /** what the engine of the current process holds */
  readonly live: TestEngine.TestEngine["live"]
  /** Ends the process as SIGKILL does, and starts another one after a while. Does nothing while none runs. */
  readonly kill: (down: Duration.Duration) => Effect.Effect<void>
}

/** @internal */
export interface Options {
  /** the options of a process, which `ifAlive` ends where it must have no effect after its end */
  readonly server: (ifAlive: Effect.Effect<void>) => TestServer.Options
  /** how long a commit of the records takes */
  readonly commitDelay: Duration.Duration
  /** the scope in which the processes run */
  readonly scope: Scope.Scope
}

interface State {
  readonly options: Options
  readonly database: Store.MemoryDatabase
  readonly checkpoints: CheckpointStore.Service
  /** absent while no process runs */
  current: Process | undefined
}

/** Interrupts what a process does that has ended. */
const ifAlive = (life: Life): Effect.Effect<void> =>
  Effect.suspend(() => (life.isDead ? Effect.interrupt : Effect.void))

/** The checkpoints as one process changes them. */
const checkpointsOf = (checkpoints: CheckpointStore.Service, alive: Effect.Effect<void>): CheckpointStore.Service => ({
  ...checkpoints,
  save: (options) => Effect.andThen(alive, checkpoints.save(options)),
  update: (path, change) => Effect.andThen(alive, checkpoints.update(path, change)),
  remove: (path) => Effect.andThen(alive, checkpoints.remove(path))
})

const start = ({ checkpoints, database, options: { scope: parent, server } }: State): Effect.Effect<Process> =>
  Effect.gen(function* () {
    const life: Life = { isDead: false }
    const alive = ifAlive(life)
    const scope = yield* Scope.make()
    const made = yield* TestServer.make({
      ...server(alive),
      store: database.layer,
      checkpoints: Layer.succeed(CheckpointStore.CheckpointStore, checkpointsOf(checkpoints, alive))
    }).pipe(Scope.extend(scope))
    yield* Scope.addFinalizer(parent, Scope.close(scope, Exit.void))
    return Object.assign(life, { server: made, scope, ended: yield* Deferred.make<void>() })
  })

const lost = (request: HttpClientRequest.HttpClientRequest, description: string) =>
  requestError({ request, reason: "Transport", description })

/** Sends a request to the process that runs now. It fails when that ends. */
const execute = (
  { current }: State,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientErrors> =>
  current === undefined
    ? Effect.fail(lost(request, "the connection was refused: the service does not run"))
    : Effect.raceFirst(
        Effect.disconnect(current.server.client.execute(request)),
        Effect.flatMap(Deferred.await(current.ended), () =>
          Effect.fail(lost(request, "the connection was lost: the service ended"))
        )
      )

const kill = (state: State, down: Duration.Duration): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { current, database, options } = state
    if (current === undefined) return Effect.void
    state.current = undefined
    current.isDead = true
    const restart = Effect.map(start(state), (process) => {
      state.current = process
    })
    return Effect.gen(function* () {
      yield* database.kill
      yield* Deferred.succeed(current.ended, undefined)
      yield* Effect.forkIn(Scope.close(current.scope, Exit.void), options.scope)
      yield* Effect.forkIn(Effect.delay(restart, down), options.scope)
    })
  }).pipe(Effect.uninterruptible)

/** @internal */
export const make = (options: Options): Effect.Effect<MortalServer> =>
  Effect.gen(function* () {
    const state: State = {
      options,
      database: yield* Store.makeMemory({ commitDelay: options.commitDelay }),
      checkpoints: yield* CheckpointStore.makeMemory,
      current: undefined
    }
    state.current = yield* start(state)
    return {
      client: HttpClient.makeWith<HttpClientErrors, never, HttpClientErrors, never>(
        (requests) => Effect.flatMap(requests, (request) => execute(state, request)),
        Effect.succeed as never
      ),
      live: Effect.suspend(() => state.current?.server.engine.live ?? Effect.succeed({ models: 0, samplers: 0 })),
      kill: (down) => kill(state, down)
    }
  })
