import type * as Wire from "@effect-tinker/api/Session"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as currentUser from "../auth/currentUser.ts"
import type { Environment } from "./environment.ts"
import * as futures from "./futures.ts"
import * as ids from "../util/ids.ts"
import type * as queue from "./modelQueue.ts"
import * as responses from "../util/responses.ts"
import * as traces from "../records/traces.ts"

/** How a session came to its end; `active` until then. @internal */
export type Status = Extract<SessionSearch.SessionStatus, { readonly type: "active" | "cancelled" | "client_finished" }>

/** What is remembered of a session, also when it has ended. @internal */
export interface SessionRecord {
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
  readonly record: SessionRecord
  readonly load: futures.SessionLoad
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
  readonly createPlaceholder: (project_id: string | undefined, detail: string) => Effect.Effect<SessionRecord>
  /** in the order in which they were created */
  readonly records: () => ReadonlyArray<SessionRecord>
  readonly getRecord: (id: string) => SessionRecord | undefined
  /** ends a session; one that has ended stays as it is */
  readonly finish: (id: string, status: Status) => Effect.Effect<void, responses.NotFound>
  readonly find: (id: string) => Effect.Effect<Session, responses.NotFound | responses.Gone>
}

/** @internal */
export const make = (environment: Environment): Sessions => {
  const live = new Map<string, Session>()
  const records = new Map<string, SessionRecord>()
  const scopes = new Map<string, Scope.CloseableScope>()
  const timeout = Duration.toMillis(environment.settings.sessionTimeout)

  const isBusy = (session: Session) =>
    Effect.map(
      Effect.forEach(session.queues, (queue) => queue.isBusy),
      (busy) => busy.includes(true)
    )

  const create = Effect.fnUntraced(function* (request: typeof Wire.CreateSessionRequest.Type) {
    const id = yield* ids.uuid
    const { id: owner } = yield* currentUser.CurrentUser
    const scope = yield* Scope.fork(environment.scope, ExecutionStrategy.sequential)
    const resources = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const workers = yield* Scope.fork(scope, ExecutionStrategy.parallel)
    const queues = new Set<queue.Queue>()
    let lastSeen = yield* Clock.currentTimeMillis

    const load = futures.load(owner)
    const record: SessionRecord = {
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
      record,
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
        if (record.status.type === "active") record.status = { type: "cancelled", detail: "the service stopped" }
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
      record.status = { type: "cancelled", detail }
      yield* Effect.uninterruptible(Scope.close(scope, Exit.void))
    })

    live.set(id, session)
    records.set(id, record)
    scopes.set(id, scope)
    yield* Effect.forkIn(Effect.interruptible(expire), environment.scope)
    return session
  }, Effect.uninterruptible)

  const createPlaceholder: Sessions["createPlaceholder"] = Effect.fnUntraced(function* (project_id, detail) {
    const record: SessionRecord = {
      id: yield* ids.uuid,
      owner: (yield* currentUser.CurrentUser).id,
      created_at: yield* Clock.currentTimeMillis,
      user_metadata: undefined,
      display_name: undefined,
      project_id,
      status: { type: "client_finished", reason: { type: "success" }, detail },
      trace: traces.make()
    }
    records.set(record.id, record)
    return record
  })

  return {
    create,
    createPlaceholder,
    records: () => Array.from(records.values()),
    getRecord: (id) => records.get(id),
    finish: (id, status) =>
      Effect.flatMap(currentUser.CurrentUser, (user): Effect.Effect<void, responses.NotFound> => {
        const record = records.get(id)
        if (record === undefined || !currentUser.owns(user, record.owner)) return responses.notFound(`no session ${id}`)
        const scope = scopes.get(id)
        if (scope === undefined || record.status.type !== "active") return Effect.void
        record.status = status
        return Effect.uninterruptible(Scope.close(scope, Exit.void))
      }),
    find: (id) =>
      Effect.flatMap(currentUser.CurrentUser, (user): Effect.Effect<Session, responses.NotFound | responses.Gone> => {
        const session = live.get(id)
        const record = records.get(id)
        const visible = record !== undefined && currentUser.owns(user, record.owner)
        if (session !== undefined && visible) return Effect.succeed(session)
        return visible ? responses.gone(`session ${id} has ended`) : responses.notFound(`no session ${id}`)
      })
  }
}
