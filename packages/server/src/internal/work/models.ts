import type * as Future from "@effect-tinker/api/Future"
import * as Model from "@effect-tinker/api/Model"
import * as Weights from "@effect-tinker/api/Weights"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as checkpoints from "../checkpoints/access.ts"
import {
  categoryOf,
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

type State =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Created"; readonly model: Engine.EngineModel }
  | { readonly _tag: "Failed"; readonly reason: string; readonly category: Future.Category }
  | { readonly _tag: "Unloaded" }

/** A model of a client, from the moment it was asked for. @internal */
export interface ModelRecord {
  readonly id: string
  readonly session: sessions.Session
  readonly base: Engine.BaseModel
  readonly lora_config: Model.LoraConfig
  readonly user_metadata: { readonly [key: string]: string } | undefined
  readonly queue: queue.Queue
  /** holds what the engine gave; closed with the session, or when the model is unloaded */
  readonly resources: Scope.CloseableScope
  /** milliseconds since the epoch */
  lastRequest: number
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
  readonly validate?: Effect.Effect<void, responses.OperationRejection> | undefined
  /** refuses, at the moment of taking the number */
  readonly check?: ((seqId: number) => responses.OperationRejection | undefined) | undefined
  readonly run: (model: Engine.EngineModel, seqId: number) => Effect.Effect<futures.Done, Failure>
}

/** What creates a model. */
interface Creation {
  readonly type: Future.RequestType
  readonly id: string
  readonly session: sessions.Session
  readonly base: Engine.BaseModel
  readonly lora_config: Model.LoraConfig
  readonly user_metadata: { readonly [key: string]: string } | undefined
  readonly identity: unknown
  readonly prepare?: ((model: Engine.EngineModel) => Effect.Effect<void, Failure>) | undefined
  readonly result: unknown
}

/** @internal */
export interface Models {
  readonly create: (
    session: sessions.Session,
    request: Model.CreateModelRequest
  ) => Effect.Effect<futures.Ticket, responses.OperationRejection>
  /** creates a model with the shape of a checkpoint, and loads it */
  readonly createFrom: (
    session: sessions.Session,
    request: Weights.CreateFromWeightsRequest
  ) => Effect.Effect<futures.Ticket, responses.OperationRejection>
  readonly unload: (record: ModelRecord) => Effect.Effect<futures.Ticket, responses.OperationRejection>
  readonly all: () => ReadonlyArray<ModelRecord>
  readonly find: (id: string) => Effect.Effect<ModelRecord, responses.NotFound>
  readonly submit: (
    record: ModelRecord,
    operation: Operation
  ) => Effect.Effect<futures.Ticket, responses.OperationRejection>
}

const defaultLora: Model.LoraConfig = { rank: 32, train_unembed: true, train_mlp: true, train_attn: true }
const encodeUnloaded = Schema.encodeSync(Model.UnloadModelResponse)
const encodeLoaded = Schema.encodeSync(Weights.LoadWeightsResponse)
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

  const makeRecord = (request: Creation, resources: Scope.CloseableScope, now: number): ModelRecord => {
    const { base, id, lora_config, session, user_metadata } = request
    const record: ModelRecord = {
      id,
      session,
      base,
      lora_config,
      user_metadata,
      resources,
      lastRequest: now,
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

  const entryOf = (record: ModelRecord, type: Future.RequestType) => (seqId: number) =>
    environment.futures.unsafeAdd({
      about: { name: type, target: record.id, seq_id: seqId, queued: record.lastRequest },
      ticket: { id: `${record.id}:${seqId}`, envelope: { model_id: record.id } },
      touch: record.session.touch,
      load: record.session.load,
      state: () => {
        const missing = record.queue.missing()
        return missing === undefined
          ? { queue_state: "active" }
          : { queue_state: "active", queue_state_reason: `seq_id ${missing} has not arrived, and comes before` }
      }
    })

  const optimizerProblem = (config: Model.OptimizerConfig | undefined): string | undefined =>
    config === undefined || config.type === "adamw"
      ? undefined
      : `optimizer_config.type is ${config.type}; on offer: adamw`

  /** Operation 0 of a model. */
  const begin = Effect.fnUntraced(function* (
    creation: Creation
  ): Effect.fn.Return<futures.Ticket, responses.OperationRejection> {
    const { base, id, lora_config, session } = creation
    const parent = yield* currentParent
    const now = yield* Clock.currentTimeMillis
    return yield* Effect.suspend((): ReturnType<Models["create"]> => {
      if (!session.isLive()) return responses.notFound(`session ${session.id} has ended`)
      return Effect.flatMap(
        Effect.suspend(() => {
          const before = records.get(id)
          return before === undefined
            ? Effect.map(Scope.fork(session.resources, ExecutionStrategy.sequential), (resources) =>
                makeRecord(creation, resources, now)
              )
            : Effect.succeed(before)
        }),
        (record) => {
          const work = engine.createModel({ base_model: base.model_name, lora_config }).pipe(
            Scope.extend(record.resources),
            Effect.tap((model) => creation.prepare?.(model) ?? Effect.void),
            Effect.tap((model) => {
              record.state = { _tag: "Created", model }
              // what the engine gave is not held longer than the session
              return Scope.addFinalizer(
                record.resources,
                Effect.sync(() => {
                  record.state = { _tag: "Unloaded" }
                })
              )
            }),
            Effect.map(() => futures.done({ json: () => creation.result })),
            Effect.tapError((error) =>
              Effect.sync(() => {
                record.state = { _tag: "Failed", category: categoryOf(error), reason: error.message }
              })
            )
          )
          return record.queue.add(0, {
            fingerprint: fingerprint.of(creation.identity),
            entry: entryOf(record, creation.type),
            work: () => toOutcome(creation.type, parent, { model_id: id, base_model: base.model_name }, work)
          })
        }
      )
    }).pipe(Effect.uninterruptible)
  })

  const create: Models["create"] = Effect.fnUntraced(function* (session, request) {
    const { base_model, lora_config = defaultLora, model_seq_id, optimizer_config, user_metadata } = request
    if (model_seq_id < 0) return yield* responses.badRequest(`model_seq_id is ${model_seq_id}, which is below 0`)
    const base = findBaseModel(engine, base_model)
    if (base === undefined) {
      return yield* responses.badRequest(`there is no base model ${base_model}; on offer: ${onOffer(engine)}`)
    }
    if (!lora_config.train_attn && !lora_config.train_mlp && !lora_config.train_unembed) {
      return yield* responses.badRequest("lora_config trains nothing: set train_attn, train_mlp or train_unembed")
    }
    const problem = optimizerProblem(optimizer_config)
    if (problem !== undefined) return yield* responses.badRequest(problem)
    const id = `${session.id}:train:${model_seq_id}`
    return yield* begin({
      type: "CreateModel",
      id,
      session,
      base,
      lora_config,
      user_metadata,
      identity: { base_model, lora_config, optimizer_config, user_metadata },
      result: encodeCreated({ model_id: id, type: "create_model" })
    })
  })

  const createFrom: Models["createFrom"] = Effect.fnUntraced(function* (session, request) {
    const { base_model, model_seq_id, optimizer, optimizer_config, user_metadata } = request
    if (model_seq_id < 0) return yield* responses.badRequest(`model_seq_id is ${model_seq_id}, which is below 0`)
    const problem = optimizerProblem(optimizer_config)
    if (problem !== undefined) return yield* responses.badRequest(problem)
    const path = yield* checkpoints.parseTrainingPath(request.path)
    const info = yield* checkpoints.findReadable(environment.store, path)
    if (base_model !== undefined && base_model !== info.base_model) {
      return yield* responses.badRequest(`${request.path} is of base model ${info.base_model}, not of ${base_model}`)
    }
    const base = findBaseModel(engine, info.base_model)
    if (base === undefined) {
      return yield* responses.badRequest(
        `${request.path} is of base model ${info.base_model}; on offer: ${onOffer(engine)}`
      )
    }
    if (optimizer && info.optimizer_step === undefined) {
      return yield* responses.badRequest(`${request.path} holds no state of the optimizer`)
    }
    const id = `${session.id}:train:${model_seq_id}`
    return yield* begin({
      type: "LoadWeights",
      id,
      session,
      base,
      lora_config: info.lora_config,
      user_metadata,
      identity: { path: request.path, optimizer, optimizer_config, base_model, user_metadata },
      prepare: (model) =>
        Effect.flatMap(environment.store.load(path), (found) =>
          model.load(found.adapter, optimizer ? found.optimizer : undefined)
        ),
      result: encodeLoaded({ path: request.path, model_id: id, type: "load_weights" })
    })
  })

  const unloaded = (id: string) => futures.failed(`model ${id} was unloaded`, "user")

  const submit: Models["submit"] = Effect.fnUntraced(function* (record, operation) {
    const { check, identity, run, seqId, type, validate } = operation
    if (seqId !== undefined && !isSeqId(seqId)) {
      return yield* responses.badRequest(`seq_id is ${seqId}; the first after create_model is 1`)
    }
    record.lastRequest = yield* Clock.currentTimeMillis
    const hash = fingerprint.of({ type, identity })
    if (seqId !== undefined) {
      const before = yield* record.queue.find(seqId, hash)
      if (before !== undefined) return before
    }
    // what others wait for is always taken: their turn would never come
    const tooMuch = record.queue.isAwaited(seqId) ? undefined : overload(environment, record.session.load)
    if (tooMuch !== undefined) return yield* tooMuch
    if (validate !== undefined) {
      yield* Effect.tapError(validate, (refusal) =>
        seqId === undefined ? Effect.void : record.queue.consumeSeqId(seqId, hash, refusal)
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
          case "Unloaded":
            return Effect.succeed(unloaded(record.id))
          case "Waiting":
            return Effect.succeed(futures.failed(`model ${record.id} was not created`, "server"))
        }
      })
    return yield* record.queue.add(seqId, {
      fingerprint: hash,
      check,
      entry: entryOf(record, type),
      work: (number) => toOutcome(type, parent, { model_id: record.id, seq_id: number }, work(number))
    })
  })

  const unload: Models["unload"] = (record) =>
    submit(record, {
      type: "UnloadModel",
      seqId: undefined,
      identity: undefined,
      run: () =>
        Effect.as(
          Effect.uninterruptible(Scope.close(record.resources, Exit.void)),
          futures.done({ json: () => encodeUnloaded({ model_id: record.id, type: "unload_model" }) })
        )
    })

  return {
    create,
    createFrom,
    unload,
    all: () => Array.from(records.values()),
    find: (id) =>
      Effect.suspend(() => {
        const record = records.get(id)
        const missing = () => responses.notFound(`there is no model ${id}`)
        return record === undefined
          ? missing()
          : currentUser.authorize(record.session.record.owner, () => Effect.succeed(record), missing)
      }),
    submit
  }
}
