/** Encodes an adapter and the state of its optimizer as files, and decodes them. */
import type * as Model from "@effect-tinker/api/Model"
import * as Either from "effect/Either"
import type * as Engine from "../../Engine.ts"
import * as SafeTensors from "../../SafeTensors.ts"
import * as layout from "./layout.ts"
import * as peft from "./peft.ts"

type Moments = { readonly [name: string]: Float32Array }

const byteLength = (moments: Moments): number =>
  Object.values(moments).reduce((size, data) => size + data.byteLength, 0)

/** The size of all tensors in bytes. @internal */
export const sizeOf = (adapter: Engine.Adapter, optimizer: Engine.OptimizerState | undefined): number => {
  const weights = Object.values(adapter.weights).reduce((size, { data }) => size + data.byteLength, 0)
  return optimizer === undefined ? weights : weights + byteLength(optimizer.first) + byteLength(optimizer.second)
}

// both moments of AdamW are in one file, so their names carry a prefix
const firstPrefix = "first."
const secondPrefix = "second."

const addPrefix = (prefix: string, moments: Moments) =>
  Object.entries(moments).map(([name, data]) => [`${prefix}${name}`, { shape: [data.length], data }] as const)

const removePrefix = (prefix: string, tensors: { readonly [name: string]: SafeTensors.Tensor }): Moments =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { data }]) => [name.slice(prefix.length), data] as const)
  )

const encodeOptimizer = ({ first, second }: Engine.OptimizerState): Uint8Array =>
  SafeTensors.encode(Object.fromEntries([...addPrefix(firstPrefix, first), ...addPrefix(secondPrefix, second)]))

/** The adapter as PEFT loads it, and the state of its optimizer. @internal */
export const encode = (
  adapter: Engine.Adapter,
  optimizer: Engine.OptimizerState | undefined
): ReadonlyArray<readonly [name: string, content: Uint8Array]> => [
  [layout.adapterFile, SafeTensors.encode(adapter.weights, { format: "pt" })],
  [layout.configFile, peft.encodeConfig(adapter)],
  ...(optimizer === undefined ? [] : [[layout.optimizerFile, encodeOptimizer(optimizer)] as const])
]

/** Decodes what `encode` wrote. @internal */
export const decode = (
  info: {
    readonly base_model: string
    readonly lora_config: Model.LoraConfig
    readonly lora_alpha: number
    readonly optimizer_step?: number
  },
  adapterBytes: Uint8Array,
  optimizerBytes: Uint8Array | undefined
): Either.Either<
  { readonly adapter: Engine.Adapter; readonly optimizer: Engine.OptimizerState | undefined },
  SafeTensors.SafeTensorsError
> =>
  Either.gen(function* () {
    const { base_model, lora_alpha, lora_config } = info
    const { tensors: weights } = yield* SafeTensors.decode(adapterBytes)
    const adapter = { base_model, lora_config, lora_alpha, weights }
    if (optimizerBytes === undefined) return { adapter, optimizer: undefined }
    const { tensors } = yield* SafeTensors.decode(optimizerBytes)
    const first = removePrefix(firstPrefix, tensors)
    const second = removePrefix(secondPrefix, tensors)
    return { adapter, optimizer: { step: info.optimizer_step ?? 0, first, second } }
  })
