/** The samplers of the service: what each sampling session samples from, and the engine's samplers behind them. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import { makeSemaphore, type Semaphore } from "../effect/runtime.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "../work/environment.ts"
import * as futures from "../work/futures.ts"
import type * as outcomes from "../work/outcomes.ts"
import type * as sessions from "../work/sessions.ts"

/** What is sampled from: a base model, alone or with an adapter, which is in memory or in the store. @internal */
export interface Source {
  readonly base_model: string
  readonly adapter?: Engine.Adapter | undefined
  readonly path?: TinkerPath.TinkerPath | undefined
}

/** A sampling session, or a model that samples name directly. @internal */
export interface SamplerRecord {
  readonly id: string
  /** absent for samples that name a base model or a path */
  readonly session: sessions.Session | undefined
  /** of the request that created the sampling session; absent for one that a save created */
  readonly fingerprint: string | undefined
  /** sample requests by `seq_id` */
  readonly requests: Map<number, { readonly fingerprint: string; readonly receipt: futures.Receipt }>
  /** how many samples had no `seq_id` */
  unnumbered: number
  /** clients that joined, besides the one that created the session, which is number 0 */
  joined: number
  /** by the number of the client */
  readonly completions: Map<number, Completions>
  /** absent until the save that creates it has run */
  source: Source | undefined
}

/** The completed samples of one client, in order of completion. @internal */
export interface Completions {
  /** how many were removed before the first in `entries` */
  removed: number
  readonly entries: Array<{ readonly request_id: string; readonly state: "finished" | "failed" }>
  /** succeeds when the next sample completes */
  changed: Deferred.Deferred<void>
}

/** How many requests of a sampling session are deduplicated, and how many completions are listed. @internal */
export const maxRemembered = 10_000

/** @internal */
export class Samplers {
  readonly environment: Environment
  readonly records: Map<string, SamplerRecord>
  /** for the requests that the engine works on at a time */
  readonly permits: Semaphore
  private readonly engineSamplers: RcMap.RcMap<string, Engine.EngineSampler, outcomes.Failure>
  private readonly descriptions = new Map<string, Description>()
  private readonly idsBySession = new Map<string, Array<string>>()
  private readonly loadsByUser = new Map<string | undefined, futures.SessionLoad>()

  constructor(options: {
    readonly environment: Environment
    readonly records: Map<string, SamplerRecord>
    readonly permits: Semaphore
    readonly engineSamplers: RcMap.RcMap<string, Engine.EngineSampler, outcomes.Failure>
  }) {
    this.environment = options.environment
    this.records = options.records
    this.permits = options.permits
    this.engineSamplers = options.engineSamplers
  }

  register(options: Pick<SamplerRecord, "id" | "session" | "fingerprint" | "source">): SamplerRecord {
    const record: SamplerRecord = {
      ...options,
      requests: new Map(),
      unnumbered: 0,
      joined: 0,
      completions: new Map()
    }
    this.records.set(record.id, record)
    if (record.session !== undefined) {
      record.session.samplers.add(record.id)
      if (record.source !== undefined) this.describeAs(record.session, record.id, record.source)
    }
    return record
  }

  /** The user's sampling session. */
  find(id: string): Effect.Effect<SamplerRecord, responses.OperationRejection> {
    return Effect.suspend(() => {
      const record = this.records.get(id)
      const missing = () => responses.notFound(`there is no sampling session ${id}`)
      return record?.source === undefined || record.session === undefined
        ? missing()
        : currentUser.authorize<SamplerRecord, responses.OperationRejection>(
            record.session.record.owner,
            () => Effect.succeed(record),
            missing
          )
    })
  }

  /** The engine's sampler of a record: created on demand, released when idle. */
  engineSampler(id: string): Effect.Effect<Engine.EngineSampler, outcomes.Failure, Scope.Scope> {
    return RcMap.get(this.engineSamplers, id)
  }

  /** The load of a user's samples outside of sessions. */
  loadOf({ id: owner }: currentUser.User): futures.SessionLoad {
    const before = this.loadsByUser.get(owner)
    if (before !== undefined) return before
    const load = futures.makeLoad(owner)
    this.loadsByUser.set(owner, load)
    return load
  }

  /** Sets what a sampler samples from, which stays known after the end of its session. */
  describeAs(session: sessions.Session, id: string, { base_model, path }: Source): void {
    const model_path = path === undefined ? undefined : TinkerPath.format(path)
    this.descriptions.set(id, { owner: session.record.owner, sampler_id: id, base_model, model_path })
    const ids = this.idsBySession.get(session.id)
    if (ids === undefined) this.idsBySession.set(session.id, [id])
    else ids.push(id)
  }

  describe(id: string): Description | undefined {
    return this.descriptions.get(id)
  }

  /** The samplers that a session created. */
  idsOf(session: string): ReadonlyArray<string> {
    return this.idsBySession.get(session) ?? []
  }

  /** Removes the sampling sessions of a session. */
  release({ samplers }: sessions.Session): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const id of samplers) this.records.delete(id)
      return Effect.forEach(samplers, (id) => RcMap.invalidate(this.engineSamplers, id), { discard: true })
    })
  }
}

/** @internal */
export interface Description extends Sampling.GetSamplerResponse {
  readonly owner: string | undefined
}

/** @internal */
export const make = (environment: Environment): Effect.Effect<Samplers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { sampleConcurrency, samplerIdle } = environment.settings
    const records = new Map<string, SamplerRecord>()
    const permits = yield* makeSemaphore(Math.max(1, sampleConcurrency))
    const engineSamplers = yield* RcMap.make({
      lookup: (id: string) => createEngineSampler(environment, records.get(id)!),
      idleTimeToLive: samplerIdle
    })
    return new Samplers({ environment, records, permits, engineSamplers })
  })

const createEngineSampler = Effect.fnUntraced(function* (
  { engine, store }: Environment,
  { source }: SamplerRecord
): Effect.fn.Return<Engine.EngineSampler, outcomes.Failure, Scope.Scope> {
  const { adapter, base_model, path } = source!
  const loaded = adapter ?? (path === undefined ? undefined : (yield* store.load(path)).adapter)
  return yield* engine.createSampler({ base_model, adapter: loaded })
})
