import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Environment } from "./environment.ts"
import * as ids from "./ids.ts"
import type * as queue from "./queue.ts"
import * as responses from "./responses.ts"

/** @internal */
export interface Session {
  readonly id: string
  readonly isLive: () => boolean
  /** holds the engine's models; closed after `workers` */
  readonly resources: Scope.Scope
  /** holds the fibers that work */
  readonly workers: Scope.Scope
  readonly queues: Set<queue.Queue>
  /** ids of sampling sessions */
  readonly samplers: Set<string>
  /** runs when the session ends */
  readonly onEnd: (finalizer: Effect.Effect<void>) => Effect.Effect<void>
  /** the session is in use: its time begins anew */
  readonly touch: Effect.Effect<void>
}

/** @internal */
export interface Sessions {
  readonly create: Effect.Effect<Session>
  readonly find: (id: string) => Effect.Effect<Session, responses.NotFound | responses.Gone>
}

/** @internal */
export const make = (environment: Environment): Sessions => {
  const live = new Map<string, Session>()
  const ended = new Set<string>()
  const timeout = Duration.toMillis(environment.settings.sessionTimeout)

  const isBusy = (session: Session) =>
    Effect.map(
      Effect.forEach(session.queues, (queue) => queue.isBusy),
      (busy) => busy.includes(true)
    )

  const create = Effect.gen(function* () {
    const id = yield* ids.uuid
    const scope = yield* Scope.fork(environment.scope, ExecutionStrategy.sequential)
    const resources = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const workers = yield* Scope.fork(scope, ExecutionStrategy.parallel)
    const queues = new Set<queue.Queue>()
    let lastSeen = yield* Clock.currentTimeMillis

    const session: Session = {
      id,
      isLive: () => live.has(id),
      resources,
      workers,
      queues,
      samplers: new Set(),
      onEnd: (finalizer) => Scope.addFinalizer(resources, finalizer),
      touch: Effect.map(Clock.currentTimeMillis, (now) => {
        lastSeen = now
      })
    }

    // finalizers run in reverse: nothing new is taken, then the work stops, then what it used is released
    yield* Scope.addFinalizer(
      scope,
      Effect.suspend(() => {
        live.delete(id)
        ended.add(id)
        return Effect.forEach(queues, (queue) => queue.end(`session ${id} has ended, and its models are unloaded`), {
          discard: true
        })
      })
    )

    const expire: Effect.Effect<void> = Effect.gen(function* () {
      const left = lastSeen + timeout - (yield* Clock.currentTimeMillis)
      if (left > 0) return yield* Effect.zipRight(Effect.sleep(left), expire)
      // long work may keep the client's heartbeats from being heard
      if (yield* isBusy(session)) {
        yield* session.touch
        return yield* expire
      }
      yield* Effect.logInfo(`session ${id} has sent no heartbeat for ${timeout / 1000} s and ends`)
      yield* Effect.uninterruptible(Scope.close(scope, Exit.void))
    })

    live.set(id, session)
    yield* Effect.forkIn(Effect.interruptible(expire), environment.scope)
    return session
  }).pipe(Effect.uninterruptible)

  return {
    create,
    find: (id) =>
      Effect.suspend((): Effect.Effect<Session, responses.NotFound | responses.Gone> => {
        const session = live.get(id)
        if (session !== undefined) return Effect.succeed(session)
        return ended.has(id) ? responses.gone(`session ${id} has ended`) : responses.notFound(`no session ${id}`)
      })
  }
}
