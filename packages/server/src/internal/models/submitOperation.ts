/** Submits operations on a model: deduplicates, admits, validates and queues them. */
import type * as Future from "@effect-tinker/api/Future"
import * as Model from "@effect-tinker/api/Model"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as fingerprint from "../util/fingerprint.ts"
import * as size from "../util/size.ts"
import { RefusedSeqIds } from "../util/refusedSeqIds.ts"
import * as responses from "../util/responses.ts"
import { overloaded } from "../work/environment.ts"
import type * as futures from "../work/futures.ts"
import * as outcomes from "../work/outcomes.ts"
import { addFuture, type ModelRecord, type Models } from "./models.ts"
import * as runRecords from "./runRecords.ts"

/** An operation on a model, as a request describes it. @internal */
export interface Operation {
  readonly type: Future.RequestType
  readonly seqId: number | undefined
  /** the contents of the request, by which a repeated one is recognized */
  readonly identity: unknown
  readonly validate?: Effect.Effect<void, responses.OperationRejection> | undefined
  /** the final check, which may reject; runs in the same synchronous step that takes the `seq_id` */
  readonly check?: ((seqId: number) => responses.OperationRejection | undefined) | undefined
  readonly run: (model: Engine.EngineModel, seqId: number) => Effect.Effect<outcomes.Done, outcomes.Failure>
  /** gives back what `check` took, whether or not the operation ran */
  readonly release?: ((seqId: number) => Effect.Effect<void>) | undefined
  /** it was accepted, and will never run, while later operations may */
  readonly onLost?: ((seqId: number, reason: string) => void) | undefined
}

// the largest signed 32-bit integer
const maxSeqId = 2 ** 31 - 1

/** Whether a client may use this `seq_id`; 0 creates the model. */
const isSeqId = (seqId: unknown): seqId is number =>
  typeof seqId === "number" && Number.isInteger(seqId) && seqId >= 1 && seqId <= maxSeqId

/**
 * Queues an operation. A request that is repeated under its `seq_id` gets the receipt of the first; one that is rejected
 * for its contents uses up its `seq_id`, so that the operations behind it can run.
 *
 * @internal
 */
export const submitOperation = Effect.fnUntraced(function* (
  models: Models,
  record: ModelRecord,
  operation: Operation
): Effect.fn.Return<futures.Receipt, responses.OperationRejection> {
  const { check, identity, onLost, release, seqId, type, validate } = operation
  if (seqId !== undefined && !isSeqId(seqId)) {
    return yield* responses.badRequest(`seq_id is ${seqId}; the first after create_model is 1`)
  }
  record.lastRequest = yield* Clock.currentTimeMillis
  yield* consumeRefused(record, seqId)
  yield* runRecords.setLastRequest(models.environment, record)
  const hash = fingerprint.of({ type, identity })
  if (seqId !== undefined) {
    const before = yield* record.queue.find(seqId, hash)
    if (before !== undefined) return before
  }
  const bytes = size.of(identity)
  const { environment } = models
  // the operation that the others wait for is always admitted, or they would never run
  const rejection = record.queue.isAwaited(seqId)
    ? undefined
    : (stopping(models, record, seqId) ??
      record.queue.tooFarAhead(seqId) ??
      overloaded(environment, record.session.load, bytes))
  if (rejection !== undefined) return yield* rejection
  if (validate !== undefined && !record.queue.isClosedTo(seqId)) {
    yield* Effect.tapError(validate, (rejection) =>
      seqId === undefined ? Effect.void : record.queue.consumeSeqId(seqId, hash, rejection)
    )
  }
  const parent = yield* outcomes.currentParentSpan
  const attributes = (number: number) => ({ model_id: record.id, seq_id: number })
  return yield* record.queue.add(seqId, {
    fingerprint: hash,
    check,
    release,
    onLost,
    entry: (number) => addFuture(models, record, type, number, bytes),
    work: (number) => outcomes.runOperation(type, parent, attributes(number), runOnModel(record, operation, number))
  })
})

/**
 * Uses up the earlier numbers that the request names as rejected: their requests may not have come as far as the queue. The
 * client has given them up, so that one that arrives later is rejected.
 */
const consumeRefused = (record: ModelRecord, seqId: number | undefined): Effect.Effect<void> =>
  Effect.flatMap(RefusedSeqIds, (refused) => {
    const earlier = refused.filter((number) => seqId !== undefined && number < seqId)
    record.failedPasses.noteSeen(earlier)
    return Effect.forEach(
      earlier,
      (number) => record.queue.consumeSeqId(number, "refused", responses.conflict(`seq_id ${number} was given up`)),
      { discard: true }
    )
  })

/** The rejection of an operation while the service stops, unless operations that were accepted come after it. */
const stopping = ({ environment }: Models, { queue }: ModelRecord, seqId: number | undefined) =>
  queue.isAhead(seqId) ? undefined : environment.admission.rejection

/** Runs an operation if its model exists in the engine by then. */
const runOnModel = (
  record: ModelRecord,
  { run }: Operation,
  seqId: number
): Effect.Effect<outcomes.Outcome, outcomes.Failure> =>
  Effect.suspend((): Effect.Effect<outcomes.Outcome, outcomes.Failure> => {
    const { id, state } = record
    switch (state._tag) {
      case "Created":
        return run(state.model, seqId)
      case "Failed":
        return Effect.succeed(outcomes.failed(`model ${id} could not be created: ${state.reason}`, state.category))
      case "Unloaded":
        return Effect.succeed(unloaded(id))
      case "Waiting":
        return Effect.succeed(outcomes.failed(`model ${id} was not created`, "server"))
    }
  })

const encodeUnloaded = Schema.encodeSync(Model.UnloadModelResponse)

const unloaded = (id: string): outcomes.Failed => outcomes.failed(`model ${id} was unloaded`, "user")

/**
 * Releases the engine's model after the operations that are queued. It has no `seq_id`. What arrives later fails at once.
 *
 * @internal
 */
export const unloadModel = Effect.fnUntraced(function* (
  models: Models,
  id: string
): Effect.fn.Return<futures.Receipt, responses.OperationRejection> {
  const record = yield* models.find(id)
  record.lastRequest = yield* Clock.currentTimeMillis
  yield* runRecords.setLastRequest(models.environment, record)
  const parent = yield* outcomes.currentParentSpan
  const release = Effect.as(
    Effect.uninterruptible(
      Effect.andThen(
        Scope.close(record.resources, Exit.void),
        runRecords.setState(models.environment, record, "unloaded")
      )
    ),
    outcomes.done({ json: () => encodeUnloaded({ model_id: id, type: "unload_model" }) })
  )
  return yield* record.queue.close({
    entry: () => addFuture(models, record, "UnloadModel", undefined, 0),
    work: outcomes.runOperation("UnloadModel", parent, { model_id: id }, release),
    outcome: unloaded(id)
  })
})

/**
 * Uses up the `seq_id` of a request that could not be decoded, if model and `seq_id` can be read, so that the operations
 * behind it can run.
 *
 * @internal
 */
export const rejectMalformed = (
  models: Models,
  { model_id, seq_id }: { readonly model_id: unknown; readonly seq_id: unknown },
  detail: string
): Effect.Effect<void> =>
  typeof model_id === "string" && isSeqId(seq_id)
    ? models.find(model_id).pipe(
        Effect.flatMap(({ queue }) =>
          queue.consumeSeqId(seq_id, `malformed: ${detail}`, responses.unprocessable(detail))
        ),
        Effect.ignore
      )
    : Effect.void
