/** The operations `forward` and `forwardBackward`, whose batches are split into chunks. */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Training from "@effect-tinker/api/Training"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { datumBytes } from "../limits/requestSize.ts"
import { splitIntoChunks } from "./chunking.ts"
import { combineOutputs } from "./combineOutputs.ts"
import type { Context } from "./context.ts"
import type { Operation, Submitted } from "../submissions/operation.ts"
import * as validate from "./validate.ts"

type ForwardBackward = Operation<
  Training.ForwardBackwardOutput,
  typeof Training.ForwardBackwardOutput.Encoded,
  Training.ForwardBackwardOutput
>

const tokensOf = (chunks: ReadonlyArray<ReadonlyArray<Datum.Datum>>): number =>
  chunks.flat().reduce((sum, { model_input }) => {
    const length = ModelInput.lengthEither(model_input)
    return Either.isRight(length) ? sum + length.right : sum
  }, 0)

/** An operation with one request per chunk. @internal */
export const chunkedOperation = (
  { limits, modelId, parallelChunks, sendRequest }: Context,
  options: {
    readonly method: string
    /** computes no gradients */
    readonly forwardOnly: boolean
    readonly chunks: ReadonlyArray<ReadonlyArray<Datum.Datum>>
    readonly batch?: ReadonlyArray<Datum.Datum> | undefined
    readonly lossFn: LossFn.LossFn
    readonly config?: LossFn.Config | undefined
    readonly policy: RetryPolicy.RetryPolicy
  }
): ForwardBackward => {
  const { batch, chunks, config, forwardOnly, lossFn, method, policy } = options
  const inputOf = (data: ReadonlyArray<Datum.Datum>) => ({
    data,
    loss_fn: lossFn,
    ...(config === undefined ? {} : { loss_fn_config: config })
  })
  const sizes = chunks.map((chunk) => chunk.reduce((sum, datum) => sum + datumBytes(datum), 0))
  return {
    method,
    type: forwardOnly ? "Forward" : "ForwardBackward",
    schema: Training.ForwardBackwardOutput,
    protobuf: ProtobufCodec.decodeForwardBackwardOutput,
    role: forwardOnly ? "reads" : "gradient",
    requestCount: chunks.length,
    parallel: parallelChunks,
    batch,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    usage: { operation: forwardOnly ? "forward" : "forward_backward", inputTokens: tokensOf(chunks) },
    send: (seq_id, index, sending) =>
      sendRequest(
        { forward_backward_input: inputOf(chunks[index]!), model_id: modelId, seq_id, forward_only: forwardOnly },
        { method, policy, ...sending }
      ).pipe(limits.forwardBackward.withCost(sizes[index]!)),
    // a forward pass of one datum
    fill: (seq_id, index, sending) =>
      sendRequest(
        { forward_backward_input: inputOf(chunks[index]!.slice(0, 1)), model_id: modelId, seq_id, forward_only: true },
        { method, policy, ...sending }
      ),
    combine: combineOutputs
  }
}

/** @internal */
export const submitForwardBackward = (
  context: Context,
  method: "forward" | "forwardBackward",
  data: ReadonlyArray<Datum.Datum>,
  lossFn: LossFn.LossFn,
  config: LossFn.Config | undefined
): Submitted<Training.ForwardBackwardOutput> =>
  Effect.gen(function* () {
    const problem = validate.checkData(method, data, lossFn) ?? validate.checkConfig(method, config)
    if (problem !== undefined) return yield* problem
    yield* validate.checkLengths(context, method, data)
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    const chunks = splitIntoChunks(data, context.chunkLimits)
    const forwardOnly = method === "forward"
    return yield* context.queue.submit(
      chunkedOperation(context, { method, forwardOnly, chunks, batch: data, lossFn, config, policy })
    )
  })
