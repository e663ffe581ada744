import type * as Model from "@effect-tinker/api/Model"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Engine from "../../Engine.ts"
import * as SafeTensors from "../../SafeTensors.ts"

/** @internal */
export const adapterFile = "adapter_model.safetensors"
/** @internal */
export const configFile = "adapter_config.json"
/** @internal */
export const optimizerFile = "optimizer.safetensors"
/** @internal */
export const infoFile = "checkpoint.json"
/** @internal */
export const draftPrefix = ".draft-"
/** in a draft: what the draft is about to replace @internal */
export const oldDirectory = "old"

const plainRun = /^[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,254}$/

/** The directory of a training run, unless its id could lead elsewhere. A `:` is not allowed in names everywhere. @internal */
export const directoryName = (run: string): string | undefined =>
  plainRun.test(run) ? run.replaceAll(":", "%3A") : undefined

/** @internal */
export const runOfDirectory = (name: string): string | undefined => {
  const run = name.replaceAll("%3A", ":")
  return plainRun.test(run) ? run : undefined
}

/** @internal */
export const sizeOf = (adapter: Engine.Adapter, optimizer: Engine.OptimizerState | undefined): number => {
  let size = 0
  for (const { data } of Object.values(adapter.weights)) size += data.byteLength
  for (const moments of optimizer === undefined ? [] : [optimizer.first, optimizer.second]) {
    for (const data of Object.values(moments)) size += data.byteLength
  }
  return size
}

/** The modules that carry an adapter, by the last part of their name. */
const targetModules = (adapter: Engine.Adapter): ReadonlyArray<string> => {
  const modules = new Set<string>()
  for (const name of Object.keys(adapter.weights)) {
    const parts = name.split(".")
    const at = parts.findIndex((part) => part.startsWith("lora_"))
    if (at > 0) modules.add(parts[at - 1]!)
  }
  return Array.from(modules).sort()
}

const peftConfig = (adapter: Engine.Adapter) => ({
  peft_type: "LORA",
  task_type: "CAUSAL_LM",
  base_model_name_or_path: adapter.base_model,
  r: adapter.lora_config.rank,
  lora_alpha: adapter.lora_alpha,
  lora_dropout: 0,
  bias: "none",
  target_modules: targetModules(adapter),
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  modules_to_save: null,
  use_rslora: false,
  use_dora: false
})

const unused = (isUnused: (value: unknown) => boolean) =>
  Schema.optional(
    Schema.Unknown.pipe(
      Schema.filter(
        (value) => value === null || value === undefined || isUnused(value) || "is used, which this service does not do"
      )
    )
  )
const off = unused((value) => value === false)
const empty = unused((value) => typeof value === "object" && Object.keys(value!).length === 0)

const PeftConfig = Schema.parseJson(
  Schema.Struct({
    peft_type: Schema.Literal("LORA"),
    r: Schema.Int,
    lora_alpha: Schema.Finite.pipe(Schema.positive()),
    fan_in_fan_out: off,
    use_rslora: off,
    use_dora: off,
    modules_to_save: empty,
    rank_pattern: empty,
    alpha_pattern: empty
  })
)
const decodePeftConfig = Schema.decodeUnknownEither(PeftConfig)

/** An adapter of files that were made elsewhere, or what is wrong with them. @internal */
export const fromPeft = (
  described: { readonly base_model: string; readonly lora_config: Model.LoraConfig },
  files: { readonly config: Uint8Array; readonly adapter: Uint8Array }
): Either.Either<Engine.Adapter, string> =>
  Either.gen(function* () {
    const { lora_alpha, r } = yield* Either.mapLeft(
      decodePeftConfig(new TextDecoder().decode(files.config)),
      (error) => {
        const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
        return `${configFile}: ${[...(issue?.path ?? []), issue?.message].join(": ")}`
      }
    )
    const { rank } = described.lora_config
    if (r !== rank) return yield* Either.left(`${configFile}: r is ${r}, but lora_config.rank is ${rank}`)
    const { tensors: weights } = yield* Either.mapLeft(
      SafeTensors.decode(files.adapter),
      ({ message }) => `${adapterFile}: ${message}`
    )
    for (const [name, { data }] of Object.entries(weights)) {
      if (!data.every(Number.isFinite)) return yield* Either.left(`${adapterFile}: ${name} is not finite`)
    }
    return { ...described, lora_alpha, weights }
  })

const few = (names: ReadonlyArray<string>): string => names.slice(0, 5).join(", ") + (names.length > 5 ? ", …" : "")

/** Where the tensors of an adapter differ from those that a model has. @internal */
export const shapeProblem = ({ weights }: Engine.Adapter, { weights: own }: Engine.Adapter): string | undefined => {
  const missing = Object.keys(own).filter((name) => !Object.hasOwn(weights, name))
  if (missing.length > 0) return `lacks ${few(missing)}`
  const unknown = Object.keys(weights).filter((name) => !Object.hasOwn(own, name))
  if (unknown.length > 0) return `holds ${few(unknown)}, which adapters of this base model and lora_config do not have`
  for (const [name, { shape }] of Object.entries(own)) {
    const given = weights[name]!.shape
    if (given.join() !== shape.join()) {
      return `${name} has the shape [${given.join(", ")}], and must have [${shape.join(", ")}]`
    }
  }
  return undefined
}

const prefixed = (prefix: string, moments: { readonly [name: string]: Float32Array }) =>
  Object.entries(moments).map(([name, data]) => [`${prefix}${name}`, { shape: [data.length], data }] as const)

const firstPrefix = "first."
const secondPrefix = "second."

/** @internal */
export const encode = (
  adapter: Engine.Adapter,
  optimizer: Engine.OptimizerState | undefined
): ReadonlyArray<readonly [name: string, content: Uint8Array]> => {
  const config = new TextEncoder().encode(JSON.stringify(peftConfig(adapter), undefined, 2))
  const out: Array<readonly [string, Uint8Array]> = [
    [adapterFile, SafeTensors.encode(adapter.weights, { format: "pt" })],
    [configFile, config]
  ]
  if (optimizer !== undefined) {
    const moments = [...prefixed(firstPrefix, optimizer.first), ...prefixed(secondPrefix, optimizer.second)]
    out.push([optimizerFile, SafeTensors.encode(Object.fromEntries(moments))])
  }
  return out
}

const unprefixed = (prefix: string, tensors: { readonly [name: string]: SafeTensors.Tensor }) =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { data }]) => [name.slice(prefix.length), data] as const)
  )

/** @internal */
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
    const first = unprefixed(firstPrefix, tensors)
    const second = unprefixed(secondPrefix, tensors)
    return { adapter, optimizer: { step: info.optimizer_step ?? 0, first, second } }
  })
