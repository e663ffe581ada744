/** The operations `loadState` and `loadStateWithOptimizer`. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type Context, submitRequest } from "./context.ts"
import type { Submitted } from "../submissions/operation.ts"
import * as validate from "./validate.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface LoadOptions {
  /** an API key of the account that owns the checkpoint, where that is another account */
  readonly weights_access_token?: Redacted.Redacted | undefined
}

/** Warns, once for each client, of a load that some services reject. */
const warnOfLateLoad = ({ modelId, warnings }: Context, method: string, seqId: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (seqId <= 1 || warnings.has("late load")) return Effect.void
    warnings.add("late load")
    return Effect.logWarning(
      `${method} was called on ${modelId} after other operations, which services may reject ("LoadWeights is not ` +
        'permitted"): load first, or create a training client from the state'
    )
  })

/** @internal */
export const submitLoad = (
  context: Context,
  method: "loadState" | "loadStateWithOptimizer",
  path: string,
  { weights_access_token: token }: LoadOptions = {}
): Submitted<Weights.LoadWeightsResponse> =>
  Effect.flatMap(
    Effect.suspend(() => validate.checkStatePath(method, path)),
    () =>
      submitRequest(
        context,
        { method, type: "LoadWeights", schema: Weights.LoadWeightsResponse, role: "load" },
        (seq_id, options) =>
          Effect.flatMap(warnOfLateLoad(context, method, seq_id), () =>
            context.client.call(
              TinkerApi.loadWeights,
              {
                model_id: context.modelId,
                path,
                optimizer: method === "loadStateWithOptimizer",
                seq_id,
                ...(token === undefined ? {} : { weights_access_token: Redacted.value(token) }),
                type: "load_weights"
              },
              options
            )
          )
      )
  )
