/** Writes the configuration file of PEFT, and reads and checks adapters that PEFT wrote. */
import type * as Model from "@effect-tinker/api/Model"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Engine from "../../Engine.ts"
import * as SafeTensors from "../../SafeTensors.ts"
import { formatFirstIssue } from "../effect/parseError.ts"
import * as layout from "./layout.ts"

/** The names of the modules that have LoRA weights, such as `q_proj`. */
const targetModules = (adapter: Engine.Adapter): ReadonlyArray<string> => {
  const modules = new Set<string>()
  for (const name of Object.keys(adapter.weights)) {
    const parts = name.split(".")
    const at = parts.findIndex((part) => part.startsWith("lora_"))
    if (at > 0) modules.add(parts[at - 1]!)
  }
  return Array.from(modules).sort()
}

const toConfig = (adapter: Engine.Adapter) => ({
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

/** The content of `adapter_config.json`. @internal */
export const encodeConfig = (adapter: Engine.Adapter): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(toConfig(adapter), undefined, 2))

/** A setting of PEFT that must be absent, null or off. */
const unsupported = (isOff: (value: unknown) => boolean) =>
  Schema.optional(
    Schema.Unknown.pipe(
      Schema.filter(
        (value) =>
          value === null || value === undefined || isOff(value) || "is set, but this service does not support it"
      )
    )
  )
const unsupportedFlag = unsupported((value) => value === false)
const unsupportedMap = unsupported((value) => typeof value === "object" && Object.keys(value!).length === 0)

const PeftConfig = Schema.parseJson(
  Schema.Struct({
    peft_type: Schema.Literal("LORA"),
    r: Schema.Int,
    lora_alpha: Schema.Finite.pipe(Schema.positive()),
    fan_in_fan_out: unsupportedFlag,
    use_rslora: unsupportedFlag,
    use_dora: unsupportedFlag,
    modules_to_save: unsupportedMap,
    rank_pattern: unsupportedMap,
    alpha_pattern: unsupportedMap
  })
)
const decodeConfig = Schema.decodeUnknownEither(PeftConfig)

/** Decodes an adapter that PEFT wrote; fails with the reason why this service cannot use it. @internal */
export const decodeAdapter = (
  described: { readonly base_model: string; readonly lora_config: Model.LoraConfig },
  files: { readonly config: Uint8Array; readonly adapter: Uint8Array }
): Either.Either<Engine.Adapter, string> =>
  Either.gen(function* () {
    const { lora_alpha, r } = yield* Either.mapLeft(
      decodeConfig(new TextDecoder().decode(files.config)),
      (error) => `${layout.configFile}: ${formatFirstIssue(error)}`
    )
    const { rank } = described.lora_config
    if (r !== rank) return yield* Either.left(`${layout.configFile}: r is ${r}, but lora_config.rank is ${rank}`)
    const { tensors: weights } = yield* Either.mapLeft(
      SafeTensors.decode(files.adapter),
      ({ message }) => `${layout.adapterFile}: ${message}`
    )
    for (const [name, { data }] of Object.entries(weights)) {
      if (!data.every(Number.isFinite)) return yield* Either.left(`${layout.adapterFile}: ${name} is not finite`)
    }
    return { ...described, lora_alpha, weights }
  })

/** At most five names. */
const listNames = (names: ReadonlyArray<string>): string =>
  names.slice(0, 5).join(", ") + (names.length > 5 ? ", …" : "")

/** How the tensors of an adapter differ from those that its model expects; `undefined` if they do not. @internal */
export const shapeProblem = (
  { weights }: Engine.Adapter,
  { weights: expected }: Engine.Adapter
): string | undefined => {
  const missing = Object.keys(expected).filter((name) => !Object.hasOwn(weights, name))
  if (missing.length > 0) return `lacks ${listNames(missing)}`
  const unexpected = Object.keys(weights).filter((name) => !Object.hasOwn(expected, name))
  if (unexpected.length > 0) {
    return `has ${listNames(unexpected)}, which adapters of this base model and lora_config do not have`
  }
  for (const [name, { shape }] of Object.entries(expected)) {
    const given = weights[name]!.shape
    if (given.join() !== shape.join()) {
      return `${name} has shape [${given.join(", ")}], expected [${shape.join(", ")}]`
    }
  }
  return undefined
}
