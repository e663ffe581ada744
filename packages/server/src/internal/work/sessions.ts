import type * as Wire from "@effect-tinker/api/Session"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as caller from "../auth/currentUser.ts"
import type { Environment } from "./environment.ts"
import * as futures from "./futures.ts"
import * as ids from "../util/ids.ts"
import type * as queue from "./modelQueue.ts"
import * as responses from "../util/responses.ts"
import * as traces from "../records/traces.ts"

/** How a session came to its end; `active` until then. @internal */
export type Status = Extract<SessionSearch.SessionStatus, { readonly type: "active" | "cancelled" | "client_finished" }>

/** What is remembered of a session, also when it has ended. @internal */
export interface Memory {
  readonly id: string
  readonly owner: string | undefined
  /** milliseconds since the epoch */
  readonly created_at: number
  readonly user_metadata: { readonly [key: string]: string } | undefined
  readonly display_name: string | undefined
  project_id: string | undefined
  status: Status
  /** what was done in it, as far as it is remembered */
  readonly trace: traces.Trace
}

/** @internal */
export interface Session {
  readonly id: string
  readonly memory: Memory
  readonly load: futures.Load
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
  readonly create: (request: typeof Wire.CreateSessionRequest.Type) => Effect.Effect<Session>
  /** what is in a project without a session of a client, as if one had ended there */
  readonly place: (project_id: string | undefined, detail: string) => Effect.Effect<Memory>
  /** in the order in which they were created */
  readonly all: () => ReadonlyArray<Memory>
  readonly recall: (id: string) => Memory | undefined
  /** ends a session; one that has ended stays as it is */
  readonly finish: (id: string, status: Status) => Effect.Effect<void, responses.NotFound>
  readonly find: (id: string) => Effect.Effect<Session, responses.NotFound | responses.Gone>
}

/** @internal */
export const make = (environment: Environment): Sessions => {
  const live = new Map<string, Session>()
  const memories = new Map<string, Memory>()
  const scopes = new Map<string, Scope.CloseableScope>()
  const timeout = Duration.toMillis(environment.settings.sessionTimeout)

  const isBusy = (session: Session) =>
    Effect.map(
      Effect.forEach(session.queues, (queue) => queue.isBusy),
      (busy) => busy.includes(true)
    )

  const create = Effect.fnUntraced(function* (request: typeof Wire.CreateSessionRequest.Type) {
    const id = yield* ids.uuid
    const { id: owner } = yield* caller.Caller
    const scope = yield* Scope.fork(environment.scope, ExecutionStrategy.sequential)
    const resources = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const workers = yield* Scope.fork(scope, ExecutionStrategy.parallel)
    const queues = new Set<queue.Queue>()
    let lastSeen = yield* Clock.currentTimeMillis

    const load = futures.load(owner)
    const memory: Memory = {
      id,
      owner,
      trace: load.trace,
      created_at: lastSeen,
      user_metadata: request.user_metadata ?? undefined,
      display_name: request.display_name,
      project_id: request.project_id,
      status: { type: "active" }
    }

    const session: Session = {
      id,
      memory,
      load,
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
        scopes.delete(id)
        if (memory.status.type === "active") memory.status = { type: "cancelled", detail: "the service stopped" }
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
      const detail = `no heartbeat for ${timeout / 1000} s`
      yield* Effect.logInfo(`session ${id} ends: ${detail}`)
      memory.status = { type: "cancelled", detail }
      yield* Effect.uninterruptible(Scope.close(scope, Exit.void))
    })

    live.set(id, session)
    memories.set(id, memory)
    scopes.set(id, scope)
    yield* Effect.forkIn(Effect.interruptible(expire), environment.scope)
    return session
  }, Effect.uninterruptible)

  const place: Sessions["place"] = Effect.fnUntraced(function* (project_id, detail) {
    const memory: Memory = {
      id: yield* ids.uuid,
      owner: (yield* caller.Caller).id,
      created_at: yield* Clock.currentTimeMillis,
      user_metadata: undefined,
      display_name: undefined,
      project_id,
      status: { type: "client_finished", reason: { type: "success" }, detail },
      trace: traces.make()
    }
    memories.set(memory.id, memory)
    return memory
  })

  return {
    create,
    place,
    all: () => Array.from(memories.values()),
    recall: (id) => memories.get(id),
    finish: (id, status) =>
      Effect.flatMap(caller.Caller, (user): Effect.Effect<void, responses.NotFound> => {
        const memory = memories.get(id)
        if (memory === undefined || !caller.owns(user, memory.owner)) return responses.notFound(`no session ${id}`)
        const scope = scopes.get(id)
        if (scope === undefined || memory.status.type !== "active") return Effect.void
        memory.status = status
        return Effect.uninterruptible(Scope.close(scope, Exit.void))
      }),
    find: (id) =>
      Effect.flatMap(caller.Caller, (user): Effect.Effect<Session, responses.NotFound | responses.Gone> => {
        const session = live.get(id)
        const memory = memories.get(id)
        const visible = memory !== undefined && caller.owns(user, memory.owner)
        if (session !== undefined && visible) return Effect.succeed(session)
        return visible ? responses.gone(`session ${id} has ended`) : responses.notFound(`no session ${id}`)
      })
  }
}
