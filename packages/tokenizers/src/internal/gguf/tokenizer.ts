/** The tokenizer and the chat template in the metadata of a GGUF file, in the form of Hugging Face's files. */
import * as Either from "effect/Either"
import type { Source } from "../tokenizer/model.ts"
import * as sentencePiece from "./sentencePiece.ts"

type Metadata = { readonly [key: string]: unknown }

/** How texts are split before merges, by the name in the metadata. */
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const splitPattern = (digits: string) =>
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

const byteLevel = (use_regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: false,
  use_regex
})
const sequence = (...pretokenizers: ReadonlyArray<object>) => ({ type: "Sequence", pretokenizers })
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false })

interface Kind {
  readonly pre_tokenizer: object
  readonly normalizer?: object
  readonly ignoresMerges?: boolean
}

const qwen: Kind = {
  pre_tokenizer: sequence(split(splitPattern("\\p{N}")), byteLevel(false)),
  normalizer: { type: "NFC" }
}
const llama3: Kind = {
  pre_tokenizer: sequence(split(splitPattern("\\p{N}{1,3}")), byteLevel(false)),
  ignoresMerges: true
}
const gpt2: Kind = { pre_tokenizer: byteLevel(true) }
const smollm: Kind = { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)) }

/** By the name in the metadata. @internal */
export const kinds: { readonly [pre: string]: Kind } = {
  default: gpt2,
  "gpt-2": gpt2,
  smollm,
  qwen2: qwen,
  "llama-bpe": llama3,
  llama3
}

const unknownType = 2
/** The types of tokens that texts are searched for before they are split. @internal */
export const controlType = 3
/** @internal */
export const userDefinedType = 4

const isStrings = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((item) => typeof item === "string")

/** The texts of the special tokens that the metadata names by their ids. */
const namedTokens = (metadata: Metadata, tokens: ReadonlyArray<string>): Record<string, string> => {
  const out: Record<string, string> = {}
  for (const [name, key] of [
    ["bos_token", "bos"],
    ["eos_token", "eos"],
    ["pad_token", "padding"],
    ["unk_token", "unknown"]
  ] as const) {
    const text = tokens[Number(metadata[`tokenizer.ggml.${key}_token_id`] ?? -1)]
    if (text !== undefined) out[name] = text
  }
  return out
}

/** The template of the metadata, and its named ones, as `tokenizer_config.json` has them. */
const chatTemplateOf = (metadata: Metadata): unknown => {
  const prefix = "tokenizer.chat_template"
  const templates = Object.entries(metadata).flatMap(([key, template]) => {
    const name = key === prefix ? "default" : key.startsWith(`${prefix}.`) ? key.slice(prefix.length + 1) : undefined
    return name === undefined || typeof template !== "string" ? [] : [{ name, template }]
  })
  return templates.length === 1 && templates[0]!.name === "default" ? templates[0]!.template : templates
}

const isSentencePiece = (metadata: Metadata): boolean => metadata["tokenizer.ggml.model"] === "llama"

/** Adds the first token to every text, if the metadata says so; SentencePiece does unless it says otherwise. */
const postProcessor = (metadata: Metadata, bos: string | undefined): object | null =>
  (metadata["tokenizer.ggml.add_bos_token"] ?? isSentencePiece(metadata)) === true && bos !== undefined
    ? {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
        pair: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
        special_tokens: {
          [bos]: { id: bos, ids: [Number(metadata["tokenizer.ggml.bos_token_id"])], tokens: [bos] }
        }
      }
    : null

const addedTokens = (tokens: ReadonlyArray<string>, types: ReadonlyArray<number>) =>
  tokens.flatMap((content, id) =>
    types[id] === controlType || types[id] === userDefinedType || types[id] === unknownType
      ? [
          {
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: types[id] !== userDefinedType
          }
        ]
      : []
  )

/** Every reason why the tokenizer of the metadata cannot be used. */
const problemsOf = (metadata: Metadata): ReadonlyArray<string> => {
  const [model, pre] = [metadata["tokenizer.ggml.model"], metadata["tokenizer.ggml.pre"] ?? "default"]
  const list = (name: string) => (isStrings(metadata[name]) ? [] : [`${name} is not a list of texts`])
  const isKnown = model === "gpt2" || model === "llama"
  return [
    ...(isKnown
      ? []
      : [`the tokenizer is ${String(model)}: supported are gpt2, byte-level BPE, and llama, SentencePiece's BPE`]),
    ...(isSentencePiece(metadata) ? sentencePiece.problems(metadata) : []),
    ...(isSentencePiece(metadata) || Object.hasOwn(kinds, String(pre))
      ? []
      : [`tokenizer.ggml.pre is ${String(pre)}: supported are ${Object.keys(kinds).join(", ")}`]),
    ...list("tokenizer.ggml.tokens"),
    ...(metadata["tokenizer.ggml.merges"] === undefined ? [] : list("tokenizer.ggml.merges"))
  ]
}

const unknownOf = (tokens: ReadonlyArray<string>, types: ReadonlyArray<number>): string | undefined =>
  tokens[types.indexOf(unknownType)]

/** The parts of `tokenizer.json` for byte-level BPE. */
const byteParts = (metadata: Metadata, tokens: ReadonlyArray<string>): object => {
  const { ignoresMerges, normalizer, pre_tokenizer } = kinds[String(metadata["tokenizer.ggml.pre"] ?? "default")]!
  return {
    normalizer: normalizer ?? null,
    pre_tokenizer,
    decoder: byteLevel(true),
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoresMerges === true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      // a vocabulary of bytes alone has none
      merges: metadata["tokenizer.ggml.merges"] ?? []
    }
  }
}

/** On the left is every reason why the tokenizer cannot be used. @internal */
export const toSource = (metadata: Metadata): Either.Either<Source, string> => {
  const problems = problemsOf(metadata)
  if (problems.length > 0) return Either.left(problems.join("; "))
  const tokens = metadata["tokenizer.ggml.tokens"] as ReadonlyArray<string>
  const types = (metadata["tokenizer.ggml.token_type"] ?? []) as ReadonlyArray<number>
  const named = namedTokens(metadata, tokens)
  return Either.right({
    config: { ...named, chat_template: chatTemplateOf(metadata) },
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: addedTokens(tokens, types),
      post_processor: postProcessor(metadata, named["bos_token"]),
      ...(isSentencePiece(metadata)
        ? sentencePiece.parts(metadata, unknownOf(tokens, types))
        : byteParts(metadata, tokens))
    }
  })
}
