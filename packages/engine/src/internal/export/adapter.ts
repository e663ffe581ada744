/** A LoRA adapter as PEFT keeps it, of whatever service: its matrices by the linear layer that each belongs to. */
import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Pair } from "../lora/merge.ts"
import * as architecture from "../model/architecture.ts"
import { FileProblem } from "../model/files.ts"
import { isEqual } from "../util/shape.ts"

const configFile = "adapter_config.json"
const weightsFile = "adapter_model.safetensors"

/** An adapter by the names of linear layers, such as `model.layers.0.self_attn.q_proj`. @internal */
export interface Adapter {
  readonly baseModel: string | undefined
  readonly pairs: ReadonlyMap<string, Pair>
}

const Settings = Schema.parseJson(
  Schema.Struct({
    r: Schema.Int.pipe(Schema.positive()),
    lora_alpha: Schema.Finite.pipe(Schema.positive()),
    peft_type: Schema.optional(Schema.NullOr(Schema.String)),
    base_model_name_or_path: Schema.optional(Schema.NullOr(Schema.String)),
    use_rslora: Schema.optional(Schema.NullOr(Schema.Boolean)),
    use_dora: Schema.optional(Schema.NullOr(Schema.Boolean)),
    fan_in_fan_out: Schema.optional(Schema.NullOr(Schema.Boolean)),
    modules_to_save: Schema.optional(Schema.Unknown),
    rank_pattern: Schema.optional(Schema.Unknown),
    alpha_pattern: Schema.optional(Schema.Unknown)
  })
)
type Settings = typeof Settings.Type

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0)

/** What would make another model than `alpha / r` times the product of the matrices. */
const unsupported = (settings: Settings): ReadonlyArray<string> => [
  ...((settings.peft_type ?? "LORA") === "LORA" ? [] : [`peft_type is ${settings.peft_type}, not LORA`]),
  ...(["use_rslora", "use_dora", "fan_in_fan_out"] as const).filter((name) => settings[name] === true),
  ...(["modules_to_save", "rank_pattern", "alpha_pattern"] as const).filter((name) => !isEmpty(settings[name]))
]

const readSettings = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const problem = (reason: string) => (cause: unknown) => new FileProblem(path, reason, cause)
    const text = yield* Effect.mapError(fs.readFileString(path), problem("cannot be read"))
    const settings = yield* Schema.decodeUnknown(Settings)(text).pipe(
      Effect.mapError(problem("is not the configuration of a LoRA adapter, with r and lora_alpha"))
    )
    const reasons = unsupported(settings)
    return reasons.length === 0
      ? settings
      : yield* Effect.fail(new FileProblem(path, `cannot be merged here: ${reasons.join(", ")}`))
  })

/** The linear layer and the matrix that a tensor is. The hosted service calls the unembedding by a name of its own. */
const placeOf = (name: string): readonly [linear: string, matrix: "A" | "B"] | undefined => {
  const [, path, matrix] = /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/.exec(name) ?? []
  if (path === undefined) return undefined
  return [path === "model.unembed_tokens" ? "lm_head" : path, matrix as "A" | "B"]
}

interface Matrices {
  A?: SafeTensors.Tensor
  B?: SafeTensors.Tensor
}

/** The matrices by linear layer, or what does not fit the model. */
const matricesOf = (
  tensors: { readonly [name: string]: SafeTensors.Tensor },
  config: ModelConfig,
  rank: number
): Either.Either<ReadonlyMap<string, Matrices>, string> => {
  const linears = new Map(architecture.linears(config).map((linear) => [linear.name, linear]))
  const found = new Map<string, Matrices>()
  for (const [name, tensor] of Object.entries(tensors)) {
    const [path, matrix] = placeOf(name) ?? []
    const linear = linears.get(path ?? "")
    if (linear === undefined || matrix === undefined)
      return Either.left(`has ${name}, which the base model has no layer for`)
    const shape = matrix === "A" ? [rank, linear.in] : [linear.out, rank]
    if (!isEqual(tensor.shape, shape)) {
      return Either.left(
        `has ${name} in the shape [${tensor.shape.join(", ")}]; the base model needs [${shape.join(", ")}]`
      )
    }
    if (!tensor.data.every(Number.isFinite)) return Either.left(`has values in ${name} that are not finite`)
    found.set(linear.name, { ...found.get(linear.name), [matrix]: tensor })
  }
  const half = Array.from(found).find(([, { A, B }]) => A === undefined || B === undefined)
  if (half !== undefined) return Either.left(`has only one of the two matrices of ${half[0]}`)
  return found.size === 0 ? Either.left("has no matrices") : Either.right(found)
}

/** Reads `adapter_config.json` and `adapter_model.safetensors`, and checks that they fit the base model. @internal */
export const read = (
  directory: string,
  config: ModelConfig
): Effect.Effect<Adapter, FileProblem, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const settings = yield* readSettings(join(directory, configFile))
    const path = join(directory, weightsFile)
    const problem = (reason: string, cause?: unknown) => new FileProblem(path, reason, cause)
    const bytes = yield* Effect.mapError(fs.readFile(path), (cause) => problem("cannot be read", cause))
    const { tensors } = yield* Effect.mapError(SafeTensors.decode(bytes), ({ message }) => problem(message))
    const matrices = yield* Effect.mapError(matricesOf(tensors, config, settings.r), (reason) => problem(reason))
    const scaling = settings.lora_alpha / settings.r
    return {
      baseModel: settings.base_model_name_or_path ?? undefined,
      pairs: new Map(
        Array.from(matrices, ([name, { A, B }]) => [name, { a: A!.data, b: B!.data, rank: settings.r, scaling }])
      )
    }
  })
