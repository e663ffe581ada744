/** The tokenizer and the chat template of Hugging Face's files in the form of GGUF metadata: the inverse of `toSource`. */
import * as Either from "effect/Either"
import * as config from "../tokenizer/config.ts"
import type { Source } from "../tokenizer/model.ts"
import { controlType, kinds, userDefinedType } from "./tokenizer.ts"

type Json = { readonly [key: string]: unknown }

const normalType = 1
const unusedType = 5

const isRecord = config.isRecord

/** A part of `tokenizer.json` without what does not change the tokens, in one order of its fields. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (!isRecord(value)) return value
  const fields = Object.entries(value).filter(([key]) => key !== "trim_offsets")
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, canonical(field)]))
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(canonical(a)) === JSON.stringify(canonical(b))

/** The name of how texts are split before merges. The first that fits is the one that programs know best. */
const preOf = (tokenizer: Json, model: Json): string | undefined =>
  ["gpt-2", "smollm", "qwen2", "llama-bpe"].find((name) => {
    const kind = kinds[name]!
    return (
      isSame(tokenizer["pre_tokenizer"], kind.pre_tokenizer) &&
      isSame(tokenizer["normalizer"] ?? null, kind.normalizer ?? null) &&
      (model["ignore_merges"] === true) === (kind.ignoresMerges ?? false)
    )
  })

interface Added {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

const addedOf = (tokenizer: Json): ReadonlyArray<Added> =>
  Array.isArray(tokenizer["added_tokens"]) ? (tokenizer["added_tokens"] as ReadonlyArray<Added>) : []

/** The texts and types of all ids below `size`; those that the tokenizer does not have are unused. */
const tokensOf = (tokenizer: Json, vocab: Json, size: number) => {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`)
  const types = Array.from({ length: size }, () => unusedType)
  for (const [text, id] of Object.entries(vocab)) {
    tokens[Number(id)] = text
    types[Number(id)] = normalType
  }
  for (const { content, id, special } of addedOf(tokenizer)) {
    tokens[id] = content
    types[id] = special ? controlType : userDefinedType
  }
  return { tokens, types }
}

/** The token that is put before every text, if there is one. */
const firstToken = ({ post_processor: processor }: Json): string | undefined => {
  const parts: ReadonlyArray<unknown> = isRecord(processor)
    ? Array.isArray(processor["processors"])
      ? processor["processors"]
      : [processor]
    : []
  for (const part of parts) {
    const first: unknown = isRecord(part) && Array.isArray(part["single"]) ? part["single"][0] : undefined
    const special = isRecord(first) ? first["SpecialToken"] : undefined
    if (isRecord(special)) return String(special["id"])
  }
  return undefined
}

/** The ids of special tokens by the names in metadata, and whether texts begin with one. */
const specialTokensOf = (source: Source, tokenizer: Json, tokens: ReadonlyArray<string>): Json => {
  const settings = config.mergeConfig(source)
  const out: Record<string, unknown> = {}
  for (const [key, name] of [
    ["bos", "bos_token"],
    ["eos", "eos_token"],
    ["padding", "pad_token"],
    ["unknown", "unk_token"]
  ] as const) {
    const text = config.tokenText(settings[name])
    const id = text === undefined ? -1 : tokens.indexOf(text)
    if (id >= 0) out[`tokenizer.ggml.${key}_token_id`] = id
  }
  const first = firstToken(tokenizer)
  if (first !== undefined && tokens.includes(first)) out["tokenizer.ggml.bos_token_id"] = tokens.indexOf(first)
  return { ...out, "tokenizer.ggml.add_bos_token": first !== undefined, "tokenizer.ggml.add_eos_token": false }
}

const templatesOf = (source: Source): Json => {
  const templates = config.chatTemplates(config.mergeConfig(source), source.chatTemplate)
  return Object.fromEntries(
    Object.entries(templates).map(([name, template]) => [
      name === "default" ? "tokenizer.chat_template" : `tokenizer.chat_template.${name}`,
      template
    ])
  )
}

/** Every reason why programs that read GGUF files would make other tokens. */
const problemsOf = (tokenizer: Json, model: Json, vocabSize: number): ReadonlyArray<string> => {
  const vocab = isRecord(model["vocab"]) ? model["vocab"] : {}
  const ids = [...Object.values(vocab), ...addedOf(tokenizer).map(({ id }) => id)]
  const wrong = ids.find((id) => !Number.isSafeInteger(id) || Number(id) < 0 || Number(id) >= vocabSize)
  return [
    ...(model["type"] === "BPE" && model["byte_fallback"] !== true
      ? preOf(tokenizer, model) === undefined
        ? ["its texts are split in a way that GGUF has no name for here"]
        : []
      : [
          `it is ${String(model["type"])}${model["byte_fallback"] === true ? " with single bytes" : ""}, not byte-level BPE`
        ]),
    ...(wrong === undefined ? [] : [`it has a token ${String(wrong)}, and the model has ${vocabSize}`])
  ]
}

/** The metadata for a model with so many tokens. On the left is every reason why it would be another tokenizer. @internal */
export const fromSource = (source: Source, vocabSize: number): Either.Either<Json, string> => {
  const tokenizer = isRecord(source.tokenizer) ? source.tokenizer : {}
  const model = isRecord(tokenizer["model"]) ? tokenizer["model"] : {}
  const problems = problemsOf(tokenizer, model, vocabSize)
  if (problems.length > 0) return Either.left(problems.join("; "))
  const { tokens, types } = tokensOf(tokenizer, isRecord(model["vocab"]) ? model["vocab"] : {}, vocabSize)
  const merges = (Array.isArray(model["merges"]) ? model["merges"] : []) as ReadonlyArray<
    string | ReadonlyArray<string>
  >
  return Either.right({
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": preOf(tokenizer, model),
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": types,
    "tokenizer.ggml.merges": merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
    ...specialTokensOf(source, tokenizer, tokens),
    ...templatesOf(source)
  })
}
