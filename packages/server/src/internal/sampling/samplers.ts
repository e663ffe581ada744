/** The samplers of the service: what each sampling session samples from, and the engine's samplers behind them. */
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as adapterFiles from "../checkpoints/adapterFiles.ts"
import type { Environment } from "../work/environment.ts"
import * as futures from "../work/futures.ts"
import * as responses from "../util/responses.ts"
import type * as outcomes from "../work/outcomes.ts"
import type * as sessions from "../work/sessions.ts"
import { createEngineSampler, type Source } from "./sources.ts"

/** The key of an engine's sampler: equal for equal ids. */
class SamplerKey implements Equal.Equal {
  readonly id: string
  /** what a lookup creates the sampler from; absent in keys that only remove one */
  readonly source: Source | undefined
  constructor(id: string, source: Source | undefined) {
    this.id = id
    this.source = source
  }
  [Hash.symbol](): number {
    return Hash.string(this.id)
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof SamplerKey && that.id === this.id
  }
}

/** A sampling session, or a model that a sample names directly. @internal */
export interface SamplerRecord {
  readonly id: string
  /** absent for samples that name a base model or a path */
  readonly session: sessions.Session | undefined
  /** of the request that created the sampling session; absent for one that a save created */
  readonly fingerprint: string | undefined
  /** sample requests by `seq_id` */
  readonly requests: Map<number, { readonly fingerprint: string; readonly receipt: futures.Receipt }>
  /** clients that joined, besides the one that created the session, which is number 0 */
  joined: number
  /** by the number of the client */
  readonly completions: Map<number, Completions>
  /** absent until the save that creates it has run */
  source: Source | undefined
  /** whether it sampled from weights in memory, which ended with the process of an earlier service */
  readonly isLost?: boolean | undefined
}

type RecordOptions = Pick<SamplerRecord, "id" | "session" | "fingerprint" | "source" | "isLost">

/** The completed samples of one client, in order of completion. @internal */
export interface Completions {
  /** how many were removed before the first in `entries` */
  removed: number
  readonly entries: Array<{ readonly request_id: string; readonly state: "finished" | "failed" }>
  /** succeeds when the next sample completes */
  changed: Deferred.Deferred<void>
  /** how many requests for them have begun, and how many wait now */
  polls: number
  waiting: number
}

/** How many requests of a sampling session are deduplicated, and how many completions are listed. @internal */
export const maxRemembered = 10_000

type EngineSamplers = RcMap.RcMap<SamplerKey, Engine.EngineSampler, outcomes.Failure>

/** @internal */
export class Samplers {
  readonly environment: Environment
  readonly records: Map<string, SamplerRecord>
  /** how many samples had no `seq_id` */
  unnumbered = 0
  private readonly engineSamplers: EngineSamplers
  private readonly loadsByUser = new Map<string | undefined, futures.SessionLoad>()

  constructor(options: {
    readonly environment: Environment
    readonly records: Map<string, SamplerRecord>
    readonly engineSamplers: EngineSamplers
  }) {
    this.environment = options.environment
    this.records = options.records
    this.engineSamplers = options.engineSamplers
  }

  makeRecord(options: RecordOptions): SamplerRecord {
    return { ...options, requests: new Map(), joined: 0, completions: new Map() }
  }

  /** The user's sampling session. */
  find(id: string): Effect.Effect<SamplerRecord, responses.OperationRejection> {
    return Effect.suspend(() => {
      const record = this.records.get(id)
      const missing = () => responses.notFound(`there is no sampling session ${id}`)
      if (record?.session === undefined) return missing()
      const found = () => {
        if (record.isLost === true) return lost(id)
        return record.source === undefined ? missing() : Effect.succeed(record)
      }
      return currentUser.authorize<SamplerRecord, responses.OperationRejection>(record.session.owner, found, missing)
    })
  }

  /** Adds a sampling session that this process serves. */
  register(options: RecordOptions & { readonly session: sessions.Session }): SamplerRecord {
    const record = this.makeRecord(options)
    this.records.set(options.id, record)
    options.session.samplers.add(options.id)
    options.session.load.user.samplers++
    return record
  }

  /** Gives a sampling session the weights that it samples from. */
  fill(record: SamplerRecord, { load }: sessions.Session, source: Source): void {
    record.source = source
    load.user.samplerBytes += bytesOf(source)
  }

  /** Removes a sampling session. */
  unregister(id: string, { load, samplers }: sessions.Session): void {
    const record = this.records.get(id)
    this.records.delete(id)
    if (!samplers.delete(id)) return
    load.user.samplers--
    load.user.samplerBytes -= bytesOf(record?.source)
  }

  /** The engine's sampler of a record: created on demand, released when idle. */
  engineSampler({ id, source }: SamplerRecord): Effect.Effect<Engine.EngineSampler, outcomes.Failure, Scope.Scope> {
    return RcMap.get(this.engineSamplers, new SamplerKey(id, source))
  }

  /** The load of a user's samples outside of sessions. */
  loadOf({ id: owner }: currentUser.User): futures.SessionLoad {
    const before = this.loadsByUser.get(owner)
    if (before !== undefined) return before
    const load = futures.makeLoad(this.environment.futures.loadOf(owner))
    this.loadsByUser.set(owner, load)
    return load
  }

  /** Removes the sampling sessions of a session, and what was recorded of their samples. */
  release(session: sessions.Session): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.environment.stability.release(session.id)
      const ids = Array.from(session.samplers)
      for (const id of ids) this.unregister(id, session)
      return Effect.forEach(ids, (id) => RcMap.invalidate(this.engineSamplers, new SamplerKey(id, undefined)), {
        discard: true
      })
    })
  }
}

/** The size of the weights in memory that a source holds. */
const bytesOf = (source: Source | undefined): number =>
  source?.adapter === undefined ? 0 : adapterFiles.sizeOf(source.adapter, undefined)

const lost = (id: string) =>
  responses.notFound(
    `sampling session ${id} sampled from weights in memory, which ended with the process of the service: save them again`
  )

/** @internal */
export const make = (environment: Environment): Effect.Effect<Samplers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { samplerIdle } = environment.settings
    const records = new Map<string, SamplerRecord>()
    const engineSamplers = yield* RcMap.make({
      lookup: ({ source }: SamplerKey) => createEngineSampler(environment, source!),
      idleTimeToLive: samplerIdle
    })
    return new Samplers({ environment, records, engineSamplers })
  })
