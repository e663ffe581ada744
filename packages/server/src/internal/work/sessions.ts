/** Sessions: they hold the models and samplers of a client, and end when it finishes them or stops sending heartbeats. */
import type * as Wire from "@effect-tinker/api/Session"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Scope from "effect/Scope"
import * as currentUser from "../auth/currentUser.ts"
import * as traces from "../records/traces.ts"
import type * as Store from "../../Store.ts"
import * as ids from "../util/ids.ts"
import * as responses from "../util/responses.ts"
import { closeApart, interruptInBackground, makeMutex, type Mutex } from "../effect/runtime.ts"
import { type Environment, tooManySessions } from "./environment.ts"
import * as futures from "./futures.ts"

/** `active` until the session ends, then how it ended. @internal */
export type Status = Store.SessionRow["status"]

/** A queue of operations that belongs to a session. @internal */
export interface SessionQueue {
  readonly isBusy: boolean
  readonly end: (reason: string) => Effect.Effect<void>
}

/** @internal */
export interface Session {
  readonly id: string
  readonly owner: string | undefined
  status: Status
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
  /** the time that the store has for it */
  lastSeenRecorded: number
}

// how much later than its last use the store may say that a session was used
const lastSeenPrecision = 60_000

// how many traces of ended sessions are kept of one user
const maxTraces = 16

// after that time a session is not served on
const longestAbsence = 24 * 60 * 60 * 1000

/** What runs for each session that the service begins to serve; `isResumed`: an earlier process served it. */
type OnOpen = (session: Session, isResumed: boolean) => Effect.Effect<void>

type Missing = responses.NotFound | responses.Gone

/** @internal */
export class Sessions {
  private readonly environment: Environment
  private readonly live = new Map<string, LiveSession>()
  /** the traces of the sessions that ended last, by session, in order of their end */
  private readonly endedTraces = new Map<string, { readonly owner: string | undefined; readonly trace: traces.Trace }>()

  private readonly onOpen: OnOpen
  private readonly exclusively: Mutex

  constructor(environment: Environment, exclusively: Mutex, onOpen: OnOpen) {
    this.environment = environment
    this.exclusively = exclusively
    this.onOpen = onOpen
  }

  /** Creates a session, and returns when it is recorded. */
  create(request: typeof Wire.CreateSessionRequest.Type): Effect.Effect<Session, responses.OperationRejection> {
    const { futures } = this.environment
    return Effect.gen(this, function* () {
      const user = futures.loadOf((yield* currentUser.CurrentUser).id)
      const rejection = tooManySessions(this.environment, user)
      if (rejection !== undefined) return yield* rejection
      // counted before it is recorded: others may be created meanwhile
      user.sessions++
      return yield* Effect.onError(this.createNew(request), () =>
        Effect.sync(() => {
          user.sessions--
        })
      )
    })
  }

  private createNew(request: typeof Wire.CreateSessionRequest.Type): Effect.Effect<Session> {
    const { records, users } = this.environment
    return Effect.gen(this, function* () {
      const row = yield* newRow(records.instance, {
        user_metadata: request.user_metadata ?? undefined,
        display_name: request.display_name,
        project_id: request.project_id,
        status: { type: "active" }
      })
      yield* Effect.orDie(users.note(row.owner))
      yield* Effect.orDie(records.sessions.put(row))
      return yield* this.open(row, false)
    })
  }

  /** Records a finished session for checkpoints that are copied or uploaded to a project. */
  createPlaceholder(project_id: string | undefined, detail: string): Effect.Effect<Store.SessionRow> {
    const { records } = this.environment
    return Effect.gen(function* () {
      const row = yield* newRow(records.instance, {
        user_metadata: undefined,
        display_name: undefined,
        project_id,
        status: { type: "client_finished", reason: { type: "success" }, detail }
      })
      yield* Effect.orDie(records.sessions.put(row))
      return row
    })
  }

  /** The latest operations of a session of this process; empty for one of another. */
  traceOf(id: string): traces.Trace {
    return this.live.get(id)?.load.trace ?? this.endedTraces.get(id)?.trace ?? traces.make()
  }

  /** Ends the user's session. The status of one that has ended stays. */
  finish(id: string, status: Status): Effect.Effect<void, responses.NotFound> {
    const { records } = this.environment
    return Effect.gen(this, function* () {
      const row = yield* findRow(records, id)
      const session = yield* this.resume(row)
      if (session === undefined || session.status.type !== "active") return
      yield* Effect.orDie(end(this.environment, session, status))
    }).pipe(Effect.uninterruptible)
  }

  /** The user's session, if it has not ended. One that an earlier process served goes on here. */
  find(id: string): Effect.Effect<Session, Missing> {
    const { records } = this.environment
    return Effect.suspend((): Effect.Effect<Session, Missing> => {
      const session = this.live.get(id)
      if (session !== undefined) {
        const missing = () => responses.notFound(`no session ${id}`)
        return currentUser.authorize<Session, Missing>(session.owner, () => Effect.succeed(session), missing)
      }
      return Effect.flatMap(findRow(records, id), (row) =>
        Effect.flatMap(this.resume(row), (resumed): Effect.Effect<Session, Missing> =>
          resumed === undefined ? responses.gone(`session ${id} has ended`) : Effect.succeed(resumed)
        )
      )
    })
  }

  /** Serves the sessions on that processes served which have ended. */
  get resumeAll(): Effect.Effect<void> {
    const { records } = this.environment
    return Effect.gen(this, function* () {
      for (const row of yield* Effect.orDie(records.sessions.list())) yield* this.resume(row)
    })
  }

  /** The session of a row, if it is active and no other process serves it. */
  private resume(row: Store.SessionRow): Effect.Effect<LiveSession | undefined> {
    const { records } = this.environment
    return Effect.gen(this, function* () {
      const session = this.live.get(row.id)
      if (session !== undefined) return session
      if (row.status.type !== "active" || row.instance === records.instance) return undefined
      if (yield* Effect.orDie(records.isRunning(row.instance))) return undefined
      return yield* this.exclusively(this.takeOver(row))
    })
  }

  private takeOver(row: Store.SessionRow): Effect.Effect<LiveSession | undefined> {
    const { records } = this.environment
    return Effect.gen(this, function* () {
      const resumed = this.live.get(row.id)
      if (resumed !== undefined) return resumed
      const now = yield* Clock.currentTimeMillis
      if (now - row.last_seen > longestAbsence) {
        const status: Status = { type: "cancelled", detail: "no heartbeat while no service ran" }
        yield* records.sessions.patch({ id: row.id, status })
        return undefined
      }
      for (const run of yield* records.runs.list({ where: { session_id: row.id } })) {
        if (run.state === "waiting" || run.state === "created") {
          yield* records.runs.later.patch({ id: run.id, state: "lost" })
        }
      }
      yield* records.sessions.patch({ id: row.id, instance: records.instance, last_seen: now })
      this.environment.futures.loadOf(row.owner).sessions++
      return yield* this.open(row, true)
    }).pipe(Effect.orDie)
  }

  private open(row: Store.SessionRow, isResumed: boolean): Effect.Effect<LiveSession> {
    const { environment, live } = this
    const timeout = Duration.toMillis(environment.settings.sessionTimeout)
    return Effect.gen(this, function* () {
      const session = yield* makeSession(environment, row, live)
      const { scope } = session
      const expire = Effect.orDie(expireWhenIdle(environment, session, timeout))
      const expiry = yield* environment.forkApart(expire)
      const release = Effect.sync(() => environment.futures.releaseAll(session.load))
      yield* Scope.addFinalizer(scope, interruptInBackground(expiry))
      yield* Scope.addFinalizer(scope, releaseLater(environment, release))
      yield* Scope.addFinalizer(scope, this.close(session))
      live.set(row.id, session)
      yield* this.onOpen(session, isResumed)
      return session
    }).pipe(Effect.uninterruptible)
  }

  private close(session: LiveSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.live.delete(session.id)
      session.load.user.sessions--
      this.keepTrace(session)
      return stopAdmitting(session)
    })
  }

  /** Keeps the trace of a session that ends, and drops that of the one that ended `maxTraces` before it. */
  private keepTrace({ id, load: { trace }, owner }: LiveSession): void {
    const { endedTraces } = this
    if (trace.events.length === 0) return
    endedTraces.set(id, { owner, trace })
    const ofUser = Array.from(endedTraces).filter(([, kept]) => kept.owner === owner)
    if (ofUser.length > maxTraces) endedTraces.delete(ofUser[0]![0])
  }

  /** How many sessions have not ended. */
  get size(): number {
    return this.live.size
  }
}

/** @internal */
export const make = (environment: Environment, onOpen: OnOpen): Effect.Effect<Sessions> =>
  Effect.map(makeMutex, (exclusively) => new Sessions(environment, exclusively, onOpen))

/** A new session of the current user. */
const newRow = Effect.fnUntraced(function* (
  instance: string,
  fields: Pick<Store.SessionRow, "display_name" | "project_id" | "status" | "user_metadata">
): Effect.fn.Return<Store.SessionRow> {
  const { id: owner } = yield* currentUser.CurrentUser
  const now = yield* Clock.currentTimeMillis
  return { id: yield* ids.uuid, owner, created_at: now, ...fields, instance, last_seen: now }
})

/** The user's session in the store, which may have ended. @internal */
export const findRow = Effect.fnUntraced(function* (
  records: Store.Service,
  id: string
): Effect.fn.Return<Store.SessionRow, responses.NotFound> {
  const row = yield* Effect.orDie(records.sessions.get({ id }))
  const user = yield* currentUser.CurrentUser
  return row !== undefined && currentUser.owns(user, row.owner) ? row : yield* responses.notFound(`no session ${id}`)
})

const makeSession = Effect.fnUntraced(function* (
  environment: Environment,
  { id, owner, status }: Store.SessionRow,
  live: ReadonlyMap<string, LiveSession>
) {
  const { records } = environment
  const scope = yield* Scope.fork(environment.scope, ExecutionStrategy.sequential)
  const resources = yield* Scope.fork(scope, ExecutionStrategy.sequential)
  const workers = yield* Scope.fork(scope, ExecutionStrategy.parallel)
  const now = yield* Clock.currentTimeMillis
  const session: LiveSession = {
    id,
    owner,
    status,
    load: futures.makeLoad(environment.futures.loadOf(owner)),
    isLive: () => live.has(id),
    scope,
    resources,
    workers,
    queues: new Set(),
    samplers: new Set(),
    onEnd: (finalizer) => Scope.addFinalizer(resources, finalizer),
    touch: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      session.lastSeen = now
      if (now - session.lastSeenRecorded < lastSeenPrecision) return Effect.void
      session.lastSeenRecorded = now
      return records.sessions.later.patch({ id, last_seen: now }, "idle")
    }),
    lastSeen: now,
    lastSeenRecorded: now
  }
  return session
})

/**
 * The finalizer that is added last to the scope of a session, and so runs first: it rejects new operations. Then `workers`
 * are interrupted, then `resources` are released. A session that ends with the service stays active in the store: the next
 * service serves it on.
 */
const stopAdmitting = ({ id, queues }: LiveSession): Effect.Effect<void> =>
  Effect.forEach(queues, (queue) => queue.end(`session ${id} has ended, and its models are unloaded`), {
    discard: true
  })

/** Releases what a session held a while after its end, when its client no longer fetches results. */
const releaseLater = ({ forkApart, settings }: Environment, release: Effect.Effect<void>): Effect.Effect<void> =>
  release.pipe(Effect.delay(settings.endedRetention), forkApart, Effect.asVoid)

/** Ends a session that was not used for `timeout` milliseconds and has no operations. */
const expireWhenIdle = (
  environment: Environment,
  session: LiveSession,
  timeout: number
): Effect.Effect<void, Store.StoreError> =>
  Effect.gen(function* () {
    const left = session.lastSeen + timeout - (yield* Clock.currentTimeMillis)
    if (left > 0) return yield* Effect.flatMap(Effect.sleep(left), () => expireWhenIdle(environment, session, timeout))
    // long work may delay the heartbeats of the client
    if (isBusy(session)) {
      yield* session.touch
      return yield* expireWhenIdle(environment, session, timeout)
    }
    const detail = `no heartbeat for ${timeout / 1000} s`
    yield* Effect.logInfo(`session ${session.id} ends: ${detail}`)
    yield* end(environment, session, { type: "cancelled", detail })
  })

/** Ends a session once its status is recorded. */
const end = ({ records }: Environment, session: LiveSession, status: Status): Effect.Effect<void, Store.StoreError> =>
  Effect.suspend(() => {
    session.status = status
    return records.sessions.patch({ id: session.id, status })
  }).pipe(
    Effect.flatMap(() => closeApart(session.scope)),
    Effect.uninterruptible
  )

const isBusy = ({ queues }: Session): boolean => Array.from(queues).some((queue) => queue.isBusy)
