import type * as Model from "@effect-tinker/api/Model"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import * as Schema from "effect/Schema"
import type { Options } from "../../JaxEngine.ts"
import * as ModelDirectory from "../../ModelDirectory.ts"

/**
 * What an engine in a thread of its own and its users tell each other. Messages are cloned on their way; the arrays of
 * results are moved.
 */

/** Handles name models and samplers. Who asks for one gives its name, and so can let go of it whatever became of it. */
interface Calls {
  readonly createModel: {
    readonly handle: number
    readonly base_model: string
    readonly lora_config: Model.LoraConfig
  }
  readonly createSampler: {
    readonly handle: number
    readonly base_model: string
    readonly adapter: Engine.Adapter | undefined
  }
  readonly release: { readonly handle: number }
  readonly forward: { readonly handle: number; readonly options: Engine.PassOptions }
  readonly forwardBackward: { readonly handle: number; readonly options: Engine.PassOptions }
  readonly optimStep: { readonly handle: number; readonly params: Training.AdamParams }
  readonly adapter: { readonly handle: number }
  readonly optimizer: { readonly handle: number }
  readonly load: {
    readonly handle: number
    readonly adapter: Engine.Adapter
    readonly optimizer: Engine.OptimizerState | undefined
  }
  readonly sample: { readonly handle: number; readonly options: Engine.SampleOptions }
}

/** @internal */
export interface Results {
  readonly createModel: void
  readonly createSampler: void
  readonly release: void
  readonly forward: Training.ForwardBackwardOutput
  readonly forwardBackward: Training.ForwardBackwardOutput
  readonly optimStep: Training.OptimStepResponse
  readonly adapter: Engine.Adapter
  readonly optimizer: Engine.OptimizerState
  readonly load: void
  readonly sample: Sampling.SampleResponse
}

/** @internal */
export type Method = keyof Calls

/** @internal */
export type Call<M extends Method = Method> = { readonly [K in M]: { readonly method: K } & Calls[K] }[M]

/** To the thread. @internal */
export type Request =
  | { readonly _tag: "Call"; readonly id: number; readonly call: Call }
  /** is answered as the call itself, which ends early */
  | { readonly _tag: "Interrupt"; readonly id: number }
  | { readonly _tag: "Close" }

/** From the thread; the first is `Ready` or `NotReady`, the last `Closed`. @internal */
export type Response =
  | { readonly _tag: "Ready"; readonly models: ReadonlyArray<Engine.BaseModel> }
  | { readonly _tag: "NotReady"; readonly error: typeof Failure.Encoded }
  | { readonly _tag: "Success"; readonly id: number; readonly value: unknown }
  | { readonly _tag: "Failure"; readonly id: number; readonly error: typeof Failure.Encoded }
  | { readonly _tag: "Defect"; readonly id: number; readonly message: string }
  | { readonly _tag: "Interrupted"; readonly id: number }
  | { readonly _tag: "Log"; readonly level: string; readonly message: string }
  | { readonly _tag: "Closed" }

/** What the thread starts with. @internal */
export type Start = Options

/** @internal */
export const Failure = Schema.Union(Engine.EngineError, ModelDirectory.ModelDirectoryError)

/**
 * The memory of all arrays in a value, so that it is moved rather than copied. Views of a part of their memory are
 * copied: the rest is someone else's.
 *
 * @internal
 */
export const buffersOf = (value: unknown): Array<ArrayBuffer> => {
  const found = new Set<ArrayBuffer>()
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    if (ArrayBuffer.isView(value)) {
      if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength) found.add(value.buffer)
      return
    }
    for (const inner of Object.values(value)) visit(inner)
  }
  visit(value)
  return [...found]
}
