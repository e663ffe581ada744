import type * as Future from "@effect-tinker/api/Future"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as checkpoints from "../checkpoints/access.ts"
import {
  currentParent,
  type Environment,
  type Failure,
  findBaseModel,
  onOffer,
  overload,
  toOutcome
} from "./environment.ts"
import * as fingerprint from "../util/fingerprint.ts"
import * as futures from "./futures.ts"
import * as queue from "./modelQueue.ts"
import * as responses from "../util/responses.ts"
import type * as sessions from "./sessions.ts"

/** What is sampled from: a base model, with an adapter at hand or in the store. @internal */
export interface Source {
  readonly base_model: string
  readonly adapter?: Engine.Adapter | undefined
  readonly path?: TinkerPath.TinkerPath | undefined
}

/** @internal */
export interface SamplerRecord {
  readonly id: string
  /** absent for samples that name a base model or a path themselves */
  readonly session: sessions.Session | undefined
  /** what the number of the sampling session was asked for; absent for one made by a save */
  readonly asked: string | undefined
  /** samples by number */
  readonly slots: Map<number, { readonly fingerprint: string; readonly ticket: futures.Ticket }>
  /** samples without a number */
  unnumbered: number
  /** clients that joined, besides the one that made the session, which is number 0 */
  joined: number
  /** what is done, by the number of the client that asked */
  readonly done: Map<number, Completions>
  /** absent until the save that makes it has run */
  source: Source | undefined
}

/** The samples of one client that are done, in the order of their ends. */
interface Completions {
  /** how many came before the first that is known still */
  forgotten: number
  // not the results, which are held no longer than the service keeps them
  readonly entries: Array<{ readonly request_id: string; readonly state: "finished" | "failed" }>
  changed: Deferred.Deferred<void>
}

// numbers of samples carry the number of the client that draws them
const clientOf = (seqId: number | undefined): number => Math.floor((seqId ?? 0) / 1e9)

const emptyCompletions = (): Completions => ({
  forgotten: 0,
  entries: [],
  changed: Deferred.unsafeMake(FiberId.none)
})

/** The id of a sampling session that a save will fill. @internal */
export interface Reservation {
  readonly id: string
  readonly fill: (source: Source) => void
}

/** @internal */
export interface Samplers {
  readonly create: (
    session: sessions.Session,
    request: Sampling.CreateSamplingSessionRequest
  ) => Effect.Effect<string, responses.OperationRejection>
  readonly reserve: (session: sessions.Session, seqId: number | undefined) => Reservation | responses.OperationRejection
  readonly sample: (request: Sampling.SampleRequest) => Effect.Effect<futures.Ticket, responses.OperationRejection>
  /** the number of one client more of a sampling session */
  readonly join: (id: string) => Effect.Effect<number, responses.OperationRejection>
  /** waits until a client has more samples done than `cursor`, and answers those */
  readonly retrieve: (
    request: Future.RetrieveFuturesRequest,
    atMost: Duration.Duration
  ) => Effect.Effect<Future.RetrieveFuturesResponse, responses.OperationRejection>
  /** what a sampler was made of, also when its session has ended */
  readonly describe: (id: string) => ({ readonly owner: string | undefined } & Sampling.GetSamplerResponse) | undefined
  /** the samplers that a session made */
  readonly idsOf: (session: string) => ReadonlyArray<string>
  /** forgets the sampling sessions of a session */
  readonly release: (session: sessions.Session) => Effect.Effect<void>
}

const encodeSample = Schema.encodeSync(Sampling.SampleResponse)

// made where no request is at hand that it might hold
const sampled = (response: Sampling.SampleResponse) =>
  futures.done({
    json: () => encodeSample(response),
    protobuf: () => ProtobufCodec.encodeSampleResponse(response)
  })

// samples whose requests are told from others under the same number, and ends that are told of
const samplesKnown = 10_000

/** @internal */
export const make = (environment: Environment): Effect.Effect<Samplers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { engine, settings, store } = environment
    const records = new Map<string, SamplerRecord>()
    // of samples that name a base model or a path themselves
    const unowned = new Map<string | undefined, futures.SessionLoad>()
    const loadOf = ({ id: owner }: currentUser.User): futures.SessionLoad => {
      const before = unowned.get(owner)
      if (before !== undefined) return before
      const fresh = futures.load(owner)
      unowned.set(owner, fresh)
      return fresh
    }
    const free = yield* Effect.makeSemaphore(Math.max(1, settings.sampleConcurrency))

    // samplers of the engine are made when needed, and released when idle: the record is enough to make them again
    const engineSamplers = yield* RcMap.make({
      lookup: (id: string): Effect.Effect<Engine.EngineSampler, Failure, Scope.Scope> =>
        Effect.gen(function* () {
          const { adapter, base_model, path } = records.get(id)!.source!
          const loaded = adapter ?? (path === undefined ? undefined : (yield* store.load(path)).adapter)
          return yield* engine.createSampler({ base_model, adapter: loaded })
        }),
      idleTimeToLive: settings.samplerIdle
    })

    const offered = (base_model: string): Effect.Effect<void, responses.OperationRejection> =>
      findBaseModel(engine, base_model) === undefined
        ? responses.badRequest(`there is no base model ${base_model}; on offer: ${onOffer(engine)}`)
        : Effect.void

    const sourceOf = Effect.fnUntraced(function* (options: {
      readonly base_model?: string | undefined
      readonly model_path?: string | undefined
    }): Effect.fn.Return<Source, responses.OperationRejection> {
      const { base_model, model_path } = options
      if (base_model !== undefined) yield* offered(base_model)
      if (model_path === undefined) {
        return base_model === undefined
          ? yield* responses.badRequest("give base_model or model_path, so that there is something to sample from")
          : { base_model }
      }
      const parsed = TinkerPath.parse(model_path)
      if (Option.isNone(parsed)) {
        return yield* responses.badRequest(`model_path ${JSON.stringify(model_path)} is not a checkpoint path`)
      }
      const path = parsed.value
      if (path.kind !== "sampler_weights") {
        return yield* responses.badRequest(
          `${model_path} holds no sampler weights: give the path that save_weights_for_sampler answered`
        )
      }
      const info = yield* checkpoints.findReadable(store, path)
      if (base_model !== undefined && base_model !== info.base_model) {
        return yield* responses.badRequest(`${model_path} is of base model ${info.base_model}, not of ${base_model}`)
      }
      yield* offered(info.base_model)
      return { base_model: info.base_model, path }
    })

    const release: Samplers["release"] = (session) =>
      Effect.suspend(() => {
        for (const id of session.samplers) records.delete(id)
        return Effect.forEach(session.samplers, (id) => RcMap.invalidate(engineSamplers, id), { discard: true })
      })

    const idOf = (session: sessions.Session, seqId: number) => `${session.id}:sample:${seqId}`

    const described = new Map<string, { readonly owner: string | undefined } & Sampling.GetSamplerResponse>()
    const bySession = new Map<string, Array<string>>()

    const remember = (session: sessions.Session, id: string, { base_model, path }: Source) => {
      const model_path = path === undefined ? undefined : TinkerPath.format(path)
      described.set(id, { owner: session.record.owner, sampler_id: id, base_model, model_path })
      const ids = bySession.get(session.id)
      if (ids === undefined) bySession.set(session.id, [id])
      else ids.push(id)
    }

    const register = (record: Omit<SamplerRecord, "slots" | "unnumbered" | "joined" | "done">): SamplerRecord => {
      const full: SamplerRecord = { ...record, slots: new Map(), unnumbered: 0, joined: 0, done: new Map() }
      records.set(record.id, full)
      if (record.session !== undefined) {
        record.session.samplers.add(record.id)
        if (record.source !== undefined) remember(record.session, record.id, record.source)
      }
      return full
    }

    const create: Samplers["create"] = Effect.fnUntraced(function* (session, request) {
      const { base_model, model_path, sampling_session_seq_id: seqId } = request
      if (seqId < 0) return yield* responses.badRequest(`sampling_session_seq_id is ${seqId}, which is below 0`)
      const id = idOf(session, seqId)
      const asked = fingerprint.of({ base_model, model_path })
      const used = Effect.suspend(() => {
        const before = records.get(id)
        return before === undefined || before.asked === asked
          ? Effect.succeed(before)
          : responses.conflict(`sampling_session_seq_id ${seqId} was used for another request`)
      })
      if ((yield* used) !== undefined) return id
      const source = yield* sourceOf(request)
      return yield* Effect.flatMap(used, (before) => {
        if (!session.isLive()) return responses.notFound(`session ${session.id} has ended`)
        if (before === undefined) register({ id, session, asked, source })
        return Effect.succeed(id)
      })
    })

    const reserve: Samplers["reserve"] = (session, wanted) => {
      let seqId = wanted ?? 0
      if (wanted === undefined) while (records.has(idOf(session, seqId))) seqId++
      const id = idOf(session, seqId)
      if (records.has(id)) return responses.conflict(`sampling_session_seq_id ${seqId} was used for another request`)
      const record = register({ id, session, asked: undefined, source: undefined })
      return {
        id,
        fill: (source) => {
          record.source = source
          remember(session, id, source)
        }
      }
    }

    // samples that name their model themselves share a record for each model
    const direct = Effect.fnUntraced(function* (request: Sampling.SampleRequest) {
      const source = yield* sourceOf(request)
      const id = source.path === undefined ? `base:${source.base_model}` : TinkerPath.format(source.path)
      return records.get(id) ?? register({ id, session: undefined, asked: undefined, source })
    })

    const find = (id: string): Effect.Effect<SamplerRecord, responses.OperationRejection> =>
      Effect.suspend(() => {
        const record = records.get(id)
        const missing = () => responses.notFound(`there is no sampling session ${id}`)
        return record?.source === undefined || record.session === undefined
          ? missing()
          : currentUser.authorize<SamplerRecord, responses.OperationRejection>(
              record.session.record.owner,
              () => Effect.succeed(record),
              missing
            )
      })

    const addressed = (request: Sampling.SampleRequest): Effect.Effect<SamplerRecord, responses.OperationRejection> =>
      request.sampling_session_id === undefined ? direct(request) : find(request.sampling_session_id)

    const completionsOf = (record: SamplerRecord, client: number): Completions => {
      const before = record.done.get(client)
      if (before !== undefined) return before
      const fresh = emptyCompletions()
      record.done.set(client, fresh)
      return fresh
    }

    const forget = (completions: Completions, count: number) => {
      completions.forgotten += completions.entries.splice(0, count).length
    }

    const completed = (
      record: SamplerRecord,
      seqId: number | undefined,
      request_id: string,
      outcome: futures.Outcome
    ) =>
      Effect.suspend(() => {
        // nobody can ask for samples that belong to no session
        if (record.session === undefined) return Effect.void
        const completions = completionsOf(record, clientOf(seqId))
        const { changed } = completions
        completions.entries.push({ request_id, state: outcome._tag === "Done" ? "finished" : "failed" })
        // a client that polls for each sample never asks for them
        if (completions.entries.length > samplesKnown) forget(completions, samplesKnown / 2)
        completions.changed = Deferred.unsafeMake(FiberId.none)
        return Effect.asVoid(Deferred.succeed(changed, undefined))
      })

    const retrieve: Samplers["retrieve"] = Effect.fnUntraced(function* (request, atMost) {
      const { prev_cursor, retrieved_request_ids, target, timeout } = request
      const record = yield* find(target.sampling_session_id)
      if (record.session !== undefined) yield* record.session.touch
      if (prev_cursor < 0) return yield* responses.badRequest(`prev_cursor is ${prev_cursor}, which is below 0`)
      const completions = completionsOf(record, target.cloned_sampler_id)
      for (const id of retrieved_request_ids) if (id.startsWith(`${record.id}:`)) environment.futures.drop(id)
      const wait = Duration.min(atMost, Duration.seconds(Math.max(0, timeout ?? Infinity)))
      // whoever asks from here has seen those before
      if (prev_cursor > completions.forgotten) forget(completions, prev_cursor - completions.forgotten)
      if (completions.forgotten + completions.entries.length <= prev_cursor && Duration.toMillis(wait) > 0) {
        yield* environment.futures.waitFor(Deferred.await(completions.changed), wait)
      }
      const from = Math.max(prev_cursor, completions.forgotten)
      const found = yield* Effect.forEach(completions.entries.slice(from - completions.forgotten), (entry) =>
        Effect.map(environment.futures.size(entry.request_id), (size) =>
          size === undefined ? entry : { ...entry, response_payload_uncompressed_size: size }
        )
      )
      return { completions: found, cursor: from + found.length }
    })

    const join: Samplers["join"] = (id) => Effect.map(find(id), (record) => ++record.joined)

    const promptProblem = (request: Sampling.SampleRequest, source: Source): string | undefined => {
      const { prompt, sampling_params } = request
      const length = Either.getOrUndefined(ModelInput.lengthEither(prompt))
      if (length === undefined) return undefined
      if (length === 0) return "prompt is empty: give it one token or more"
      const limit = findBaseModel(engine, source.base_model)!.max_context_length
      if (length > limit) return `prompt has ${length} tokens, but the model's context length is ${limit}`
      const { max_tokens } = sampling_params
      return max_tokens !== undefined && length + max_tokens > limit
        ? `prompt has ${length} tokens and max_tokens is ${max_tokens}, but the model's context length is ${limit}`
        : undefined
    }

    const sample: Samplers["sample"] = Effect.fnUntraced(function* (request) {
      const record = yield* addressed(request)
      const { id, session, slots } = record
      const { num_samples, prompt, prompt_logprobs, sampling_params, topk_prompt_logprobs } = request
      const numbered = request.sampling_session_id === undefined ? undefined : request.seq_id
      if (numbered !== undefined && numbered < 0) {
        return yield* responses.badRequest(`seq_id is ${numbered}, which is below 0`)
      }
      const hash = fingerprint.of({ ...request, seq_id: undefined })
      const problem = promptProblem(request, record.source!)
      if (session !== undefined) yield* session.touch
      const parent = yield* currentParent
      const load = session?.load ?? loadOf(yield* currentUser.CurrentUser)
      const clock = yield* Effect.clock
      return yield* Effect.suspend((): Effect.Effect<futures.Ticket, responses.OperationRejection> => {
        const slot = numbered === undefined ? undefined : slots.get(numbered)
        if (slot !== undefined) {
          return slot.fingerprint === hash
            ? Effect.succeed(slot.ticket)
            : responses.conflict(`sampling session ${id}: seq_id ${numbered} was used for another request`)
        }
        if (problem !== undefined) return responses.badRequest(problem)
        const tooMuch = overload(environment, load)
        if (tooMuch !== undefined) return tooMuch
        if (session?.isLive() === false) return responses.notFound(`there is no sampling session ${id}`)
        const requestId = `${id}:${numbered ?? `unnumbered-${record.unnumbered++}`}`
        const ids = Array.from({ length: num_samples }, (_, index) => `${requestId}:${index}`)
        const ticket: futures.Ticket = { id: requestId, envelope: { sample_sequence_ids: ids } }
        let started = false
        const entry = environment.futures.unsafeAdd({
          ticket,
          about: { name: "Sample", target: id, seq_id: numbered, queued: clock.unsafeCurrentTimeMillis() },
          touch: session?.touch ?? Effect.void,
          load,
          state: () =>
            started
              ? { queue_state: "active" }
              : {
                  queue_state: "paused_capacity",
                  queue_state_reason: `no more than ${settings.sampleConcurrency} requests are sampled at a time`
                }
        })
        if (numbered !== undefined) {
          slots.set(numbered, { fingerprint: hash, ticket })
          if (slots.size > samplesKnown) slots.delete(slots.keys().next().value!)
        }
        const work = Effect.suspend(() => {
          started = true
          entry.started = clock.unsafeCurrentTimeMillis()
          return RcMap.get(engineSamplers, id)
        }).pipe(
          Effect.flatMap((sampler) =>
            sampler.sample({ num_samples, prompt, prompt_logprobs, sampling_params, topk_prompt_logprobs })
          ),
          Effect.scoped,
          Effect.tap(({ sequences }) => {
            const account = { owner: load.owner, session_id: session?.id, base_model: record.source!.base_model }
            const drawn = sequences.reduce((sum, { tokens }) => sum + tokens.length, 0)
            const read = Either.getOrElse(ModelInput.lengthEither(prompt), () => 0)
            return Effect.zipRight(
              environment.usageLog.record({ ...account, type: "sampling_prefill", count: read }),
              environment.usageLog.record({ ...account, type: "sampling_sample", count: drawn })
            )
          }),
          Effect.map(sampled),
          free.withPermits(1)
        )
        const attributes = { sampling_session_id: id, seq_id: numbered }
        const finish = (outcome: futures.Outcome) =>
          Effect.zipRight(environment.futures.complete(entry, outcome), completed(record, numbered, requestId, outcome))
        return queue.settle(toOutcome("Sample", parent, attributes, work), finish).pipe(
          Effect.forkIn(session?.workers ?? environment.scope),
          Effect.map((fiber) => {
            entry.cancel = Effect.zipRight(
              environment.futures.complete(entry, futures.failed("the request was cancelled", "user")),
              Effect.asVoid(Fiber.interruptFork(fiber))
            )
            return ticket
          })
        )
      }).pipe(Effect.uninterruptible)
    })

    return {
      create,
      reserve,
      sample,
      join,
      retrieve,
      describe: (id) => described.get(id),
      idsOf: (session) => bySession.get(session) ?? [],
      release
    }
  })
