/** Parses `config.json` of a Hugging Face model, and rejects models that the engine cannot run faithfully. */
import * as Either from "effect/Either"
import type { ModelConfig } from "../../ModelConfig.ts"
import { families, find } from "../families/families.ts"
import { type Family, traitsOf, unsupportedFeatures } from "../families/family.ts"
import { Fields, isJson, type Json, positiveInteger, positiveNumber, reject, show } from "../families/fields.ts"

const parseFamily = (raw: Json): Family => {
  const family = find(raw["model_type"])
  const architectures = raw["architectures"]
  if (
    family === undefined ||
    (Array.isArray(architectures) && !architectures.every((name) => name === family.architecture))
  ) {
    return reject(
      `the architecture is ${show(architectures ?? null)} of model_type ${show(raw["model_type"] ?? null)}: ` +
        `supported are ${families.map(({ architecture }) => architecture).join(", ")}`
    )
  }
  return family
}

const parseHeads = (raw: Json, hidden: number | undefined) => {
  const num_heads = positiveInteger(raw, "num_attention_heads")
  const num_kv_heads = positiveInteger(raw, "num_key_value_heads", num_heads)
  if (num_heads % num_kv_heads !== 0) {
    reject(`num_attention_heads is ${num_heads}: it must be a multiple of num_key_value_heads, ${num_kv_heads}`)
  }
  const head_dim = positiveInteger(raw, "head_dim", Math.floor((hidden ?? 2 * num_heads) / num_heads))
  if (head_dim % 2 !== 0) reject(`head_dim is ${head_dim}: it must be even`)
  return { num_heads, num_kv_heads, head_dim }
}

/** More layers than any model has: what is made of each of them has a bound. */
const mostLayers = 1024

const parseLayers = (raw: Json): number => {
  const layers = positiveInteger(raw, "num_hidden_layers")
  return layers <= mostLayers ? layers : reject(`num_hidden_layers is ${layers}: at most ${mostLayers} are supported`)
}

/** The configuration, or every reason why it is rejected. @internal */
export const parse = (given: unknown): Either.Either<ModelConfig, string> => {
  if (!isJson(given)) return Either.left("is not an object")
  const fields = new Fields()
  const family = fields.read(() => parseFamily(given)) as Family | undefined
  const json: Json = { ...family?.defaults, ...given }
  const integer = (name: string, fallback?: number) => fields.read(() => positiveInteger(json, name, fallback))
  fields.reasons.push(...unsupportedFeatures(family, json))
  const hidden_size = integer("hidden_size")
  const heads = fields.read(() => parseHeads(json, hidden_size)) as ReturnType<typeof parseHeads> | undefined
  const num_layers = fields.read(() => parseLayers(json)) as number | undefined
  const context = integer("max_position_embeddings", 2048)
  const traits = fields.read(() =>
    traitsOf(family ?? families[0]!, json, {
      hidden_size: hidden_size ?? 1,
      num_layers: num_layers ?? 1,
      head_dim: heads?.head_dim ?? 2,
      max_position_embeddings: context ?? 1,
      original_max_position_embeddings: json["original_max_position_embeddings"]
    })
  )
  const scaling = traits?.rope.scaling
  const config: ModelConfig = {
    model_type: family?.name ?? "llama",
    vocab_size: integer("vocab_size"),
    hidden_size,
    intermediate_size: integer("intermediate_size"),
    num_layers: num_layers!,
    ...heads!,
    rms_norm_eps: fields.read(() => positiveNumber(json, "rms_norm_eps", 1e-6)),
    tie_word_embeddings: json["tie_word_embeddings"] === true,
    max_context_length: scaling?.type === "factors" ? Math.min(context, scaling.largest_context ?? context) : context,
    ...traits
  }
  return fields.reasons.length === 0 ? Either.right(config) : Either.left(fields.reasons.join("; "))
}

/** The `eos_token_id` of the first source that has one, as a list. @internal */
export const eosTokenIds = (...sources: ReadonlyArray<unknown>): ReadonlyArray<number> => {
  for (const source of sources) {
    const value = isJson(source) ? source["eos_token_id"] : undefined
    if (typeof value === "number") return [value]
    if (Array.isArray(value)) return value.filter((id): id is number => typeof id === "number")
  }
  return []
}
