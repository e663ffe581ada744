/** Refuses requests that would take more memory than the process may use. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import { userError } from "../util/errors.ts"
import type { LoadedModel } from "./loaded.ts"

/** What Node, the engine's code and ONNX Runtime take without a request. */
const processBytes = 250 * 2 ** 20

const bytesPerValue = 4

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0)} GB`

/** The weights in memory. WebAssembly has a copy of its own. */
const weightBytes = ({ executor, weights }: LoadedModel): number =>
  Object.values(weights).reduce((sum, { data }) => sum + data.byteLength, 0) * (executor.name === "wasm" ? 2 : 1)

/** What a process with the model takes for a request of a size, in bytes. @internal */
export const estimate = (model: LoadedModel, values: number): number =>
  processBytes + weightBytes(model) + bytesPerValue * values

/** Whether a request of a size, in values, fits. @internal */
export const fits = (model: LoadedModel, values: number): boolean => estimate(model, values) <= model.memoryBudget

/**
 * Fails if a request of a size, in values, does not fit. `what` names it, and `advice` says how to make it smaller.
 *
 * @internal
 */
export const check = (
  model: LoadedModel,
  values: number,
  what: string,
  advice: string
): Effect.Effect<void, Engine.EngineError> =>
  fits(model, values)
    ? Effect.void
    : Effect.fail(
        userError(
          `${what} needs about ${gigabytes(estimate(model, values))} of memory, ${gigabytes(bytesPerValue * values)} of ` +
            `them for this request, but the budget of the engine is ${gigabytes(model.memoryBudget)}: ${advice}, or ` +
            "raise the option memoryBudget of the engine"
        )
      )
