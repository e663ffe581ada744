/** The parts of a running service: its sessions, models and samplers, over an engine and two stores. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as CheckpointStore from "../../CheckpointStore.ts"
import * as Engine from "../../Engine.ts"
import * as Store from "../../Store.ts"
import * as quotas from "../checkpoints/quota.ts"
import { makeForkApart } from "../effect/runtime.ts"
import { Models } from "../models/models.ts"
import type { ServiceState } from "../queries/serviceState.ts"
import * as auditLog from "../records/auditLog.ts"
import * as usageLog from "../records/usageLog.ts"
import * as users from "../records/users.ts"
import * as samplers from "../sampling/samplers.ts"
import { restoreSamplingSessions } from "../sampling/samplingSessions.ts"
import { Turns } from "../turns/turns.ts"
import { Admission } from "../work/drain.ts"
import type { Environment } from "../work/environment.ts"
import { Futures } from "../work/futures.ts"
import * as sessions from "../work/sessions.ts"
import type { Settings } from "../work/settings.ts"
import { StabilityRecords } from "../work/stability.ts"

/** @internal */
export type Parts = ServiceState & { readonly environment: Environment }

const makeEnvironment = Effect.fnUntraced(function* (settings: Settings) {
  const records = yield* Store.Store
  const engine = yield* Engine.Engine
  const scope = yield* Effect.scope
  const environment: Environment = {
    engine,
    ...(yield* quotas.make(yield* CheckpointStore.CheckpointStore, settings.quota)),
    records,
    futures: new Futures(settings.resultRetention, () => Effect.orDie(records.mark())),
    usageLog: usageLog.make(records),
    auditLog: auditLog.make(records),
    users: users.make(records),
    stability: new StabilityRecords(),
    settings,
    turns: new Turns({
      concurrency: Math.max(1, engine.concurrency ?? Infinity),
      perUser: settings.concurrency,
      batchPerUser: engine.batch
    }),
    admission: new Admission(),
    scope,
    forkApart: yield* makeForkApart(scope)
  }
  return environment
})

/** Serves the sessions on that processes served which have ended. @internal */
export const make = (
  settings: Settings
): Effect.Effect<Parts, never, Engine.Engine | CheckpointStore.CheckpointStore | Store.Store | Scope.Scope> =>
  Effect.gen(function* () {
    const environment = yield* makeEnvironment(settings)
    const allSamplers = yield* samplers.make(environment)
    const onOpen = (session: sessions.Session, isResumed: boolean) =>
      Effect.andThen(
        isResumed ? restoreSamplingSessions(allSamplers, session) : Effect.void,
        session.onEnd(allSamplers.release(session))
      )
    const parts: Parts = {
      ...environment,
      environment,
      sessions: yield* sessions.make(environment, onOpen),
      models: new Models(environment),
      samplers: allSamplers
    }
    yield* parts.sessions.resumeAll
    return parts
  })
