/** The operation `forwardBackwardCustom`: a forward pass, the user's loss, and a backward pass with its gradients. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as CustomLoss from "../../CustomLoss.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { splitIntoChunks } from "./chunking.ts"
import type { Context } from "./context.ts"
import { chunkedOperation } from "./forwardBackward.ts"
import type { Submitted } from "../submissions/operation.ts"
import type { Group } from "../submissions/submissionQueue.ts"
import * as surrogate from "./surrogateLoss.ts"
import * as validate from "./validate.ts"

const method = "forwardBackwardCustom"

const lossFailed = (path: string, reason: string) => new TinkerError.LossFailed({ method, path, reason })

/** Evaluates the user's loss. A loss that interrupts itself fails, and the client continues. */
const evaluateLoss = <D extends CustomLoss.Target, E, R>(
  group: Group,
  loss: CustomLoss.CustomLoss<D, E, R>,
  data: ReadonlyArray<D>,
  logprobs: ReadonlyArray<CustomLoss.Logprobs>
): Effect.Effect<CustomLoss.Result, E | TinkerError.LossFailed, R> =>
  Effect.suspend((): Effect.Effect<CustomLoss.Result, E, R> => {
    const result = loss(data, logprobs)
    return Effect.isEffect(result) ? result : Effect.succeed(result)
  }).pipe(
    group.runUserCode,
    Effect.catchAllCause((cause): Effect.Effect<never, E | TinkerError.LossFailed> =>
      Cause.isInterruptedOnly(cause) ? lossFailed("loss", "was interrupted") : Effect.failCause(cause)
    ),
    Effect.tap((result) => {
      const problem = surrogate.checkResult(logprobs, result)
      return problem === undefined ? Effect.void : lossFailed(problem.path, problem.reason)
    })
  )

/** Splits data like the chunks of another batch, for which sequence numbers are reserved. */
const splitLike = <D>(chunks: ReadonlyArray<ReadonlyArray<unknown>>, data: ReadonlyArray<D>) => {
  let start = 0
  return chunks.map(({ length }) => data.slice(start, (start += length)))
}

/** @internal */
export const submitForwardBackwardCustom = <D extends CustomLoss.Target, E, R>(
  context: Context,
  data: ReadonlyArray<D>,
  loss: CustomLoss.CustomLoss<D, E, R>
): Submitted<Training.ForwardBackwardOutput, E, R> =>
  Effect.gen(function* () {
    const problem = validate.checkData(method, data, "custom")
    if (problem !== undefined) return yield* problem
    yield* validate.checkLengths(context, method, data)
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    const services = yield* Effect.context<R>()
    const chunks = splitIntoChunks(surrogate.forwardData(data), context.chunkLimits)
    const operation = { method, lossFn: "cross_entropy", policy } as const
    return yield* context.queue.submitGroup<Training.ForwardBackwardOutput, E>({
      method,
      role: "gradient",
      requestCount: 2 * chunks.length,
      batch: data,
      run: (group) =>
        Effect.gen(function* () {
          const forward = yield* yield* group.submit(
            chunkedOperation(context, { ...operation, chunks, forwardOnly: true })
          )
          const logprobs = surrogate.logprobsOf(data, forward)
          if (typeof logprobs === "string") return yield* new TinkerError.DecodeError({ method, reason: logprobs })
          const result = yield* Effect.provide(evaluateLoss(group, loss, data, logprobs), services)
          const backwardChunks = splitLike(chunks, surrogate.backwardData(data, logprobs, result))
          const output = yield* group.submit(
            chunkedOperation(context, { ...operation, chunks: backwardChunks, forwardOnly: false })
          )
          return Effect.map(output, (output) => surrogate.mergeResult(output, result))
        })
    })
  })
