/** The operations of training: forward, forward_backward and optim_step. */
import * as Datum from "@effect-tinker/api/Datum"
import * as LossFn from "@effect-tinker/api/LossFn"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Training from "@effect-tinker/api/Training"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Engine from "../../Engine.ts"
import { lengthOf, tokensOf } from "../turns/fairModel.ts"
import * as size from "../util/size.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "../work/environment.ts"
import * as offers from "../work/offers.ts"
import * as outcomes from "../work/outcomes.ts"
import type { ModelRecord } from "./models.ts"
import * as provenance from "./provenance.ts"
import * as runRecords from "./runRecords.ts"
import type { Operation } from "./submitOperation.ts"

const encodePass = Schema.encodeSync(Training.ForwardBackwardOutput)
const encodeStep = Schema.encodeSync(Training.OptimStepResponse)

const dataProblem = (
  engine: Engine.Service,
  { data, loss_fn, loss_fn_config }: Training.ForwardBackwardInput,
  maxLength: number
): string | undefined => {
  const notOffered = offers.lossProblem(engine, loss_fn)
  if (notOffered !== undefined) return notOffered
  const text = Object.entries(loss_fn_config ?? {}).find(([, value]) => typeof value === "string")
  if (text !== undefined) return `loss_fn_config.${text[0]} is ${JSON.stringify(text[1])}, but it must be a number`
  if (data.length === 0) return "data is empty: give it one datum or more"
  for (let i = 0; i < data.length; i++) {
    const notRead = offers.inputProblem(engine, `data[${i}].model_input`, data[i]!.model_input)
    if (notRead !== undefined) return notRead
    const problem = Datum.problem(data[i]!, loss_fn)
    if (problem !== undefined) return `data[${i}].${problem.path} ${problem.reason}`
    const length = lengthOf(data[i]!.model_input)
    if (length > maxLength) {
      return `data[${i}].model_input has ${length} tokens, but the model's context length is ${maxLength}`
    }
  }
  return undefined
}

/** The account that usage is billed to. @internal */
export const accountOf = ({ base, session }: ModelRecord) => ({
  owner: session.owner,
  session_id: session.id,
  base_model: base.model_name
})

// results are retained: they are made in separate functions, so that their closures do not retain the inputs

const passResult = (output: Training.ForwardBackwardOutput) =>
  outcomes.done({
    bytes: size.of(output),
    json: () => encodePass(output),
    protobuf: () => ProtobufCodec.encodeForwardBackwardOutput(output)
  })

const stepResult = (response: Training.OptimStepResponse) => outcomes.done({ json: () => encodeStep(response) })

/** A forward pass without gradients. @internal */
export const forward = (
  environment: Environment,
  record: ModelRecord,
  { forward_input, seq_id }: typeof Training.ForwardRequest.Type
): Operation => passOperation(environment, record, "Forward", "forward", forward_input, seq_id)

/** A forward and a backward pass, which adds to the gradients of the model. @internal */
export const forwardBackward = (
  environment: Environment,
  record: ModelRecord,
  { forward_backward_input, seq_id }: Training.ForwardBackwardRequest
): Operation =>
  passOperation(environment, record, "ForwardBackward", "forwardBackward", forward_backward_input, seq_id)

const passOperation = (
  environment: Environment,
  record: ModelRecord,
  type: "Forward" | "ForwardBackward",
  method: "forward" | "forwardBackward",
  input: Training.ForwardBackwardInput,
  seqId: number | undefined
): Operation => {
  // what was recorded of samples may be gone when the operation runs, so that its validation resolves the data
  let data: ReadonlyArray<Datum.Datum> | undefined
  return {
    type,
    seqId,
    identity: input,
    validate: Effect.map(validateInput(environment, record, input, method === "forwardBackward"), (resolved) => {
      data = resolved
    }),
    run: (model, seqId) => {
      const pass = model[method](toPassOptions(input, data ?? input.data))
      const finished = finishPass(environment, record, pass, tokensOf(input.data))
      return method === "forward" ? finished : record.failedPasses.watch(model, seqId, finished)
    },
    ...(method === "forward"
      ? {}
      : { onLost: (seqId: number, reason: string) => record.failedPasses.noteFailed(seqId, reason) })
  }
}

const demandOf = ({ base, lora_config }: ModelRecord, input: Training.ForwardBackwardInput, backward: boolean) => ({
  _tag: "Pass" as const,
  base_model: base.model_name,
  lora_config,
  sequences: input.data.map(({ loss_fn_inputs, model_input }) => ({
    tokens: lengthOf(model_input),
    targets: loss_fn_inputs["target_tokens"]?.shape?.[1] ?? 1
  })),
  backward
})

/** The data as dense tensors, with what was recorded of their samples for a loss that needs it. */
const validateInput = Effect.fnUntraced(function* (
  environment: Environment,
  record: ModelRecord,
  input: Training.ForwardBackwardInput,
  backward: boolean
): Effect.fn.Return<ReadonlyArray<Datum.Datum>, responses.OperationRejection> {
  const { engine } = environment
  const { base, session } = record
  const problem =
    dataProblem(engine, input, base.max_context_length) ?? engine.demandProblem?.(demandOf(record, input, backward))
  if (problem !== undefined) return yield* responses.badRequest(problem)
  const data = yield* resolveSamples(environment, session.id, input)
  const cannotRun = engine.passProblem?.(base.model_name, toPassOptions(input, data))
  return cannotRun === undefined ? data : yield* responses.badRequest(cannotRun)
})

const resolveSamples = Effect.fnUntraced(function* (
  { stability }: Environment,
  sessionId: string,
  { data, loss_fn }: Training.ForwardBackwardInput
): Effect.fn.Return<ReadonlyArray<Datum.Datum>, responses.OperationRejection> {
  const dense = data.map(Datum.toDense)
  if (loss_fn !== "stable_reinforce") return dense
  const resolved = provenance.resolve(stability, sessionId, dense, yield* Clock.currentTimeMillis)
  return Either.isRight(resolved) ? resolved.right : yield* responses.badRequest(resolved.left)
})

const toPassOptions = (
  input: Training.ForwardBackwardInput,
  data: ReadonlyArray<Datum.Datum>
): Engine.PassOptions => ({
  data,
  loss_fn: input.loss_fn,
  loss_fn_config: LossFn.numericConfig(input.loss_fn_config ?? {})
})

/** Records the tokens of a pass in the usage log. */
const finishPass = (
  { usageLog }: Environment,
  record: ModelRecord,
  pass: Effect.Effect<Training.ForwardBackwardOutput, Engine.EngineError>,
  count: number
): Effect.Effect<outcomes.Done, Engine.EngineError> =>
  pass.pipe(
    Effect.tap(() => usageLog.record({ ...accountOf(record), type: "training", count })),
    Effect.map(passResult)
  )

/** A step of AdamW. Other optimizers are rejected. @internal */
export const optimStep = (
  environment: Environment,
  record: ModelRecord,
  request: typeof Training.AnyOptimStepRequest.Type
): Operation =>
  "adam_params" in request
    ? {
        type: "OptimStep",
        seqId: request.seq_id,
        identity: request.adam_params,
        run: (model, seqId) =>
          record.failedPasses.guard(model, seqId, model.optimStep(request.adam_params)).pipe(
            Effect.tap(() => runRecords.addStep(environment, record)),
            Effect.map(stepResult)
          ),
        onLost: (seqId) => record.failedPasses.noteStepFailed(seqId)
      }
    : {
        type: "OptimStep",
        seqId: request.seq_id,
        identity: request.optimizer_params,
        validate: responses.badRequest(
          `optimizer_params.type is ${request.optimizer_params.type}, but the model's optimizer is adamw: give adam_params`
        ),
        run: () => Effect.die(new Error("a rejected optimizer step ran"))
      }
