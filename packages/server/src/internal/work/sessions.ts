/** Sessions: they hold the models and samplers of a client, and end when it finishes them or stops sending heartbeats. */
import type * as Wire from "@effect-tinker/api/Session"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as currentUser from "../auth/currentUser.ts"
import { interruptInBackground } from "../effect/runtime.ts"
import * as traces from "../records/traces.ts"
import * as ids from "../util/ids.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "./environment.ts"
import * as futures from "./futures.ts"

/** `active` until the session ends, then how it ended. @internal */
export type Status = Extract<SessionSearch.SessionStatus, { readonly type: "active" | "cancelled" | "client_finished" }>

/** What is remembered of a session after its end. @internal */
export interface SessionRecord {
  readonly id: string
  readonly owner: string | undefined
  /** milliseconds since the epoch */
  readonly created_at: number
  readonly user_metadata: { readonly [key: string]: string } | undefined
  readonly display_name: string | undefined
  project_id: string | undefined
  status: Status
  /** the latest operations */
  readonly trace: traces.Trace
}

/** A queue of operations that belongs to a session. @internal */
export interface SessionQueue {
  readonly isBusy: boolean
  readonly end: (reason: string) => Effect.Effect<void>
}

/** @internal */
export interface Session {
  readonly id: string
  readonly record: SessionRecord
  readonly load: futures.SessionLoad
  readonly isLive: () => boolean
  /** holds the engine's models; closed after `workers` */
  readonly resources: Scope.Scope
  /** holds the fibers that run operations */
  readonly workers: Scope.Scope
  readonly queues: Set<SessionQueue>
  /** ids of sampling sessions */
  readonly samplers: Set<string>
  /** adds a finalizer that runs when the session ends */
  readonly onEnd: (finalizer: Effect.Effect<void>) => Effect.Effect<void>
  /** restarts the timeout of the session */
  readonly touch: Effect.Effect<void>
}

/** A session with what only `Sessions` uses. */
interface LiveSession extends Session {
  readonly scope: Scope.CloseableScope
  /** when the session was last used, in milliseconds since the epoch */
  lastSeen: number
}

// of one user
const maxTraces = 16

/** @internal */
export class Sessions {
  private readonly environment: Environment
  private readonly live = new Map<string, LiveSession>()
  private readonly known = new Map<string, SessionRecord>()
  /** the traces of the sessions that ended last, by user */
  private readonly traces = new Map<string | undefined, Array<traces.Trace>>()

  constructor(environment: Environment) {
    this.environment = environment
  }

  create(request: typeof Wire.CreateSessionRequest.Type): Effect.Effect<Session> {
    const { environment, known, live } = this
    const release = (session: Session) => this.release(session)
    const timeout = Duration.toMillis(environment.settings.sessionTimeout)
    return Effect.gen(function* () {
      const session = yield* makeSession(environment, request, live)
      const { id, record, scope } = session
      const expiry = yield* Effect.forkIn(Effect.interruptible(expireWhenIdle(session, timeout)), environment.scope)
      yield* Scope.addFinalizer(scope, interruptInBackground(expiry))
      yield* Scope.addFinalizer(scope, releaseLater(environment, release(session)))
      yield* Scope.addFinalizer(scope, stopAdmitting(session, live))
      live.set(id, session)
      known.set(id, record)
      return session
    }).pipe(Effect.uninterruptible)
  }

  /** Records a finished session for checkpoints that are copied or uploaded to a project. */
  createPlaceholder(project_id: string | undefined, detail: string): Effect.Effect<SessionRecord> {
    const { known } = this
    return Effect.gen(function* () {
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
      known.set(record.id, record)
      return record
    })
  }

  /** How many sessions have not ended. */
  get size(): number {
    return this.live.size
  }

  /** Releases the results of a session that has ended, and the trace of the one that ended `maxTraces` before it. */
  private release({ load, record: { owner, trace } }: Session): Effect.Effect<void> {
    return Effect.sync(() => {
      this.environment.futures.releaseAll(load)
      const kept = this.traces.get(owner) ?? []
      this.traces.set(owner, kept)
      if (trace.events.length > 0) kept.push(trace)
      if (kept.length > maxTraces) traces.clear(kept.shift()!)
    })
  }

  /** All sessions since the service started, in order of creation. */
  records(): ReadonlyArray<SessionRecord> {
    return Array.from(this.known.values())
  }

  getRecord(id: string): SessionRecord | undefined {
    return this.known.get(id)
  }

  /** Ends the user's session. The status of one that has ended stays. */
  finish(id: string, status: Status): Effect.Effect<void, responses.NotFound> {
    return Effect.flatMap(currentUser.CurrentUser, (user): Effect.Effect<void, responses.NotFound> => {
      const record = this.known.get(id)
      if (record === undefined || !currentUser.owns(user, record.owner)) return responses.notFound(`no session ${id}`)
      const session = this.live.get(id)
      if (session === undefined || record.status.type !== "active") return Effect.void
      record.status = status
      return Effect.uninterruptible(Scope.close(session.scope, Exit.void))
    })
  }

  /** The user's session, if it has not ended. */
  find(id: string): Effect.Effect<Session, responses.NotFound | responses.Gone> {
    return Effect.flatMap(
      currentUser.CurrentUser,
      (user): Effect.Effect<Session, responses.NotFound | responses.Gone> => {
        const record = this.known.get(id)
        if (record === undefined || !currentUser.owns(user, record.owner)) return responses.notFound(`no session ${id}`)
        const session = this.live.get(id)
        return session === undefined ? responses.gone(`session ${id} has ended`) : Effect.succeed(session)
      }
    )
  }
}

const makeSession = Effect.fnUntraced(function* (
  environment: Environment,
  request: typeof Wire.CreateSessionRequest.Type,
  live: ReadonlyMap<string, LiveSession>
) {
  const id = yield* ids.uuid
  const { id: owner } = yield* currentUser.CurrentUser
  const scope = yield* Scope.fork(environment.scope, ExecutionStrategy.sequential)
  const resources = yield* Scope.fork(scope, ExecutionStrategy.sequential)
  const workers = yield* Scope.fork(scope, ExecutionStrategy.parallel)
  const now = yield* Clock.currentTimeMillis
  const load = futures.makeLoad(environment.futures.loadOf(owner))
  const session: LiveSession = {
    id,
    record: {
      id,
      owner,
      trace: load.trace,
      created_at: now,
      user_metadata: request.user_metadata ?? undefined,
      display_name: request.display_name,
      project_id: request.project_id,
      status: { type: "active" }
    },
    load,
    isLive: () => live.has(id),
    scope,
    resources,
    workers,
    queues: new Set(),
    samplers: new Set(),
    onEnd: (finalizer) => Scope.addFinalizer(resources, finalizer),
    touch: Effect.map(Clock.currentTimeMillis, (now) => {
      session.lastSeen = now
    }),
    lastSeen: now
  }
  return session
})

/**
 * The finalizer that is added last to the scope of a session, and so runs first: it rejects new operations. Then `workers`
 * are interrupted, then `resources` are released.
 */
const stopAdmitting = ({ id, queues, record }: LiveSession, live: Map<string, LiveSession>): Effect.Effect<void> =>
  Effect.suspend(() => {
    live.delete(id)
    if (record.status.type === "active") record.status = { type: "cancelled", detail: "the service stopped" }
    return Effect.forEach(queues, (queue) => queue.end(`session ${id} has ended, and its models are unloaded`), {
      discard: true
    })
  })

/** Releases what a session held a while after its end, when its client no longer fetches results. */
const releaseLater = ({ scope, settings }: Environment, release: Effect.Effect<void>): Effect.Effect<void> =>
  release.pipe(Effect.delay(settings.endedRetention), Effect.interruptible, Effect.forkIn(scope), Effect.asVoid)

/** Ends a session that was not used for `timeout` milliseconds and has no operations. */
const expireWhenIdle = (session: LiveSession, timeout: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const left = session.lastSeen + timeout - (yield* Clock.currentTimeMillis)
    if (left > 0) return yield* Effect.flatMap(Effect.sleep(left), () => expireWhenIdle(session, timeout))
    // long work may delay the heartbeats of the client
    if (isBusy(session)) {
      yield* session.touch
      return yield* expireWhenIdle(session, timeout)
    }
    const detail = `no heartbeat for ${timeout / 1000} s`
    yield* Effect.logInfo(`session ${session.id} ends: ${detail}`)
    session.record.status = { type: "cancelled", detail }
    yield* Effect.uninterruptible(Scope.close(session.scope, Exit.void))
  })

const isBusy = ({ queues }: Session): boolean => Array.from(queues).some((queue) => queue.isBusy)
