/**
 * The messages between the caller of an engine and the thread that it runs in. Messages are copied by structured clone;
 * the arrays of results are transferred.
 */
import type * as Model from "@effect-tinker/api/Model"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import * as Schema from "effect/Schema"
import type * as JaxEngine from "../../JaxEngine.ts"
import * as ModelDirectory from "../../ModelDirectory.ts"
import type { LocalEngine } from "../engine/engine.ts"

/**
 * The arguments of each method. A handle is the number of a model or sampler. The caller chooses it, so that it can
 * release the handle even if it never learns whether the object was created.
 */
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
  readonly sample: {
    readonly handle: number
    /** without `onToken`, which cannot be copied */
    readonly options: Engine.SampleOptions
    /** whether the thread sends tokens as they are sampled */
    readonly streams: boolean
  }
}

/** The result of each method. @internal */
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

/** A message to the thread. @internal */
export type Request =
  /** the first one: lets the thread make its engine */
  | { readonly _tag: "Start"; readonly options: JaxEngine.Options }
  | { readonly _tag: "Call"; readonly id: number; readonly call: Call }
  /** has no response: the interrupted call responds when it has ended */
  | { readonly _tag: "Interrupt"; readonly id: number }
  /** it is the turn again of the calls of a `Yield` */
  | { readonly _tag: "Resume"; readonly id: number }
  | { readonly _tag: "Close" }

/** What the engine of the thread offers. @internal */
export type Offer = Pick<LocalEngine, "models" | "losses" | "memory" | "batch">

/** A message from the thread. The first is `Ready` or `NotReady`, the last `Closed`. @internal */
export type Response =
  | { readonly _tag: "Ready"; readonly offer: Offer }
  | { readonly _tag: "NotReady"; readonly error: typeof Failure.Encoded }
  | CallResponse
  /** calls that are computed together let others have their turn, and wait for `Resume` */
  | {
      readonly _tag: "Yield"
      readonly id: number
      /** by the ids of the calls */
      readonly parts: ReadonlyArray<readonly [call: number, tokens: number]>
    }
  /** tokens that a call has just sampled */
  | { readonly _tag: "Sampled"; readonly id: number; readonly tokens: ReadonlyArray<Engine.SampledToken> }
  | { readonly _tag: "Log"; readonly level: string; readonly message: string }
  | { readonly _tag: "Closed" }

/** The response to a call. @internal */
export type CallResponse =
  | { readonly _tag: "Success"; readonly id: number; readonly value: unknown }
  | { readonly _tag: "Failure"; readonly id: number; readonly error: typeof Failure.Encoded }
  | { readonly _tag: "Defect"; readonly id: number; readonly message: string }
  | { readonly _tag: "Interrupted"; readonly id: number }

/** @internal */
export const Failure = Schema.Union(Engine.EngineError, ModelDirectory.ModelDirectoryError)
