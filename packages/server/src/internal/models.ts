import type * as Future from "@effect-tinker/api/Future"
import * as Model from "@effect-tinker/api/Model"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Engine from "../Engine.ts"
import { currentParent, type Environment, type Failure, findBaseModel, onOffer, toOutcome } from "./environment.ts"
import * as fingerprint from "./fingerprint.ts"
import * as futures from "./futures.ts"
import * as queue from "./queue.ts"
import * as responses from "./responses.ts"
import type * as sessions from "./sessions.ts"

type State =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Created"; readonly model: Engine.EngineModel }
  | { readonly _tag: "Failed"; readonly reason: string; readonly category: Future.Category }

/** A model of a client, from the moment it was asked for. @internal */
export interface ModelRecord {
  readonly id: string
  readonly session: sessions.Session
  readonly base: Engine.BaseModel
  readonly lora_config: Model.LoraConfig
  readonly queue: queue.Queue
  /** `<kind>/<name>` of checkpoints that are saved or will be */
  readonly names: Set<string>
  state: State
}

/** An operation on a model, as a request asks for it. @internal */
export interface Operation {
  readonly type: Future.RequestType
  readonly seqId: number | undefined
  /** tells this request from another under the same number */
  readonly identity: unknown
  readonly validate?: Effect.Effect<void, responses.Refusal> | undefined
  /** refuses, at the moment of taking the number */
  readonly check?: ((seqId: number) => responses.Refusal | undefined) | undefined
  readonly run: (model: Engine.EngineModel, seqId: number) => Effect.Effect<futures.Done, Failure>
}

/** @internal */
export interface Models {
  readonly create: (
    session: sessions.Session,
    request: Model.CreateModelRequest
  ) => Effect.Effect<futures.Ticket, responses.Refusal>
  readonly find: (id: string) => Effect.Effect<ModelRecord, responses.NotFound>
  readonly submit: (record: ModelRecord, operation: Operation) => Effect.Effect<futures.Ticket, responses.Refusal>
}

const defaultLora: Model.LoraConfig = { rank: 32, train_unembed: true, train_mlp: true, train_attn: true }
const encodeCreated = Schema.encodeSync(Model.CreateModelResponse)

// what a 32-bit field of other encodings of the wire holds
const maxSeqId = 2 ** 31 - 1

/** @internal */
export const isSeqId = (seqId: unknown): seqId is number =>
  typeof seqId === "number" && Number.isInteger(seqId) && seqId >= 1 && seqId <= maxSeqId

/** @internal */
export const make = (environment: Environment): Models => {
  const { engine } = environment
  const records = new Map<string, ModelRecord>()

  const makeRecord = (
    session: sessions.Session,
    id: string,
    base: Engine.BaseModel,
    lora_config: Model.LoraConfig
  ): ModelRecord => {
    const record: ModelRecord = {
      id,
      session,
      base,
      lora_config,
      queue: queue.make({
        scope: session.workers,
        futures: environment.futures,
        gapTimeout: environment.settings.gapTimeout,
        name: `model ${id}`
      }),
      names: new Set(),
      state: { _tag: "Waiting" }
    }
    session.queues.add(record.queue)
    records.set(id, record)
    return record
  }

  const entryOf = (record: ModelRecord) => (seqId: number) =>
    environment.futures.unsafeAdd({
      ticket: { id: `${record.id}:${seqId}`, envelope: { model_id: record.id } },
      touch: record.session.touch
    })

  const create: Models["create"] = Effect.fnUntraced(function* (session, request) {
    const { base_model, lora_config = defaultLora, model_seq_id, optimizer_config } = request
    if (model_seq_id < 0) return yield* responses.badRequest(`model_seq_id is ${model_seq_id}, which is below 0`)
    const base = findBaseModel(engine, base_model)
    if (base === undefined) {
      return yield* responses.badRequest(`there is no base model ${base_model}; on offer: ${onOffer(engine)}`)
    }
    if (!lora_config.train_attn && !lora_config.train_mlp && !lora_config.train_unembed) {
      return yield* responses.badRequest("lora_config trains nothing: set train_attn, train_mlp or train_unembed")
    }
    if (optimizer_config !== undefined && optimizer_config.type !== "adamw") {
      return yield* responses.badRequest(`optimizer_config.type is ${optimizer_config.type}; on offer: adamw`)
    }
    const id = `${session.id}:train:${model_seq_id}`
    const parent = yield* currentParent
    return yield* Effect.suspend((): ReturnType<Models["create"]> => {
      if (!session.isLive()) return responses.notFound(`session ${session.id} has ended`)
      const record = records.get(id) ?? makeRecord(session, id, base, lora_config)
      const work = engine.createModel({ base_model, lora_config }).pipe(
        Scope.extend(session.resources),
        Effect.tap((model) => {
          record.state = { _tag: "Created", model }
          // what the engine gave is not held longer than the session
          return session.onEnd(
            Effect.sync(() => {
              record.state = { _tag: "Waiting" }
            })
          )
        }),
        Effect.map(() => {
          return futures.done({ json: () => encodeCreated({ model_id: id, type: "create_model" }) })
        }),
        Effect.tapError(({ category, reason }) =>
          Effect.sync(() => {
            record.state = { _tag: "Failed", category, reason }
          })
        )
      )
      return record.queue.add(0, {
        fingerprint: fingerprint.of({
          base_model,
          lora_config,
          optimizer_config,
          user_metadata: request.user_metadata
        }),
        entry: entryOf(record),
        work: () => toOutcome("CreateModel", parent, { model_id: id, base_model }, work)
      })
    })
  })

  const submit: Models["submit"] = Effect.fnUntraced(function* (record, operation) {
    const { check, identity, run, seqId, type, validate } = operation
    if (seqId !== undefined && !isSeqId(seqId)) {
      return yield* responses.badRequest(`seq_id is ${seqId}; the first after create_model is 1`)
    }
    const hash = fingerprint.of({ type, identity })
    if (seqId !== undefined) {
      const before = yield* record.queue.find(seqId, hash)
      if (before !== undefined) return before
    }
    if (validate !== undefined) {
      yield* Effect.tapError(validate, (refusal) =>
        seqId === undefined ? Effect.void : record.queue.burn(seqId, hash, refusal)
      )
    }
    const parent = yield* currentParent
    const work = (number: number) =>
      Effect.suspend((): Effect.Effect<futures.Outcome, Failure> => {
        const { state } = record
        switch (state._tag) {
          case "Created":
            return run(state.model, number)
          case "Failed":
            return Effect.succeed(
              futures.failed(`model ${record.id} could not be created: ${state.reason}`, state.category)
            )
          case "Waiting":
            return Effect.succeed(futures.failed(`model ${record.id} was not created`, "server"))
        }
      })
    return yield* record.queue.add(seqId, {
      fingerprint: hash,
      check,
      entry: entryOf(record),
      work: (number) => toOutcome(type, parent, { model_id: record.id, seq_id: number }, work(number))
    })
  })

  return {
    create,
    find: (id) =>
      Effect.suspend(() => {
        const record = records.get(id)
        return record === undefined ? responses.notFound(`there is no model ${id}`) : Effect.succeed(record)
      }),
    submit
  }
}
