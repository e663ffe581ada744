/** Makes an encoder from the contents of `tokenizer.json`, and rejects what it would not encode exactly. */
import type { AddedToken } from "./addedTokens.ts"
import * as bpe from "./bpe.ts"
import { Encoder } from "./encoder.ts"
import type { Model } from "./model.ts"
import { makeNormalizer } from "./normalizers.ts"
import { makeFrame } from "./postProcessor.ts"
import { type MakePattern, makeStage } from "./preTokenizers.ts"

type Config = { readonly [key: string]: unknown }

/** A model of the library: it makes tokens of words. @internal */
export interface LibraryModel {
  readonly tokensOf: (word: string) => ReadonlyArray<string>
  readonly idOf: (token: string) => number | undefined
  readonly unknown: number | null | undefined
}

const bytes = new TextEncoder()

const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`

/** WordPiece and Unigram. Unigram may have tokens for the bytes of what it does not know. */
const ofLibrary = (model: LibraryModel, config: Config): Model => {
  const { unknown } = model
  if (unknown === undefined || unknown === null) throw new Error("the model has no unknown token")
  const bytesOf = (token: string) => {
    const ids = Array.from(bytes.encode(token), (byte) => model.idOf(byteToken(byte)))
    return ids.every((id) => id !== undefined) ? ids : undefined
  }
  const hasBytes = config["byte_fallback"] === true
  return {
    *encode(word, out) {
      for (const token of model.tokensOf(word)) {
        const id = model.idOf(token)
        if (id !== undefined) out.push(id)
        else out.push(...((hasBytes ? bytesOf(token) : undefined) ?? [unknown]))
      }
    }
  }
}

/** A word is a token, or unknown. */
const wordLevel = (config: Config): Model => {
  const vocabulary = new Map(Object.entries(config["vocab"] as { readonly [word: string]: number }))
  const unknown = vocabulary.get(String(config["unk_token"]))
  if (unknown === undefined) throw new Error("the model has no unknown token")
  return {
    *encode(word, out) {
      out.push(vocabulary.get(word) ?? unknown)
    }
  }
}

const checkBpe = (config: Config): void => {
  if (typeof config["dropout"] === "number" && config["dropout"] > 0) {
    throw new Error("the model drops merges at random")
  }
  const prefix = config["continuing_subword_prefix"]
  if (typeof prefix === "string" && prefix !== "") throw new Error("continuing_subword_prefix of BPE is not supported")
}

const isBpe = (config: Config): boolean =>
  config["type"] === "BPE" || (config["type"] === undefined && Array.isArray(config["merges"]))

/** The contents of the file for the library, which needs no merges: this encodes, the library decodes. @internal */
export const withoutMerges = (tokenizer: Config): Config => {
  const model = tokenizer["model"] as Config | undefined
  return model !== undefined && model !== null && isBpe(model)
    ? { ...tokenizer, model: { ...model, merges: [] } }
    : tokenizer
}

const makeModel = (config: Config, model: LibraryModel): Model => {
  if (config["type"] === "WordLevel") return wordLevel(config)
  if (!isBpe(config)) return ofLibrary(model, config)
  checkBpe(config)
  return bpe.make(config)
}

const tokenDefaults = { single_word: false, lstrip: false, rstrip: false, special: false }

const vocabularySize = ({ vocab }: Config): number =>
  Array.isArray(vocab) ? vocab.length : Object.keys(vocab as object).length

const idInVocabulary = (config: Config): ((token: string) => number | undefined) => {
  const vocab = config["vocab"]
  if (!Array.isArray(vocab))
    return (token) =>
      Object.hasOwn(vocab as object, token) ? (vocab as { readonly [token: string]: number })[token] : undefined
  const ids = new Map((vocab as ReadonlyArray<readonly [string, number]>).map(([token], id) => [token, id]))
  return (token) => ids.get(token)
}

/** The reference gives added tokens the ids of the vocabulary, else the next free ones, whatever the file says. */
const checkIds = (config: Config, tokens: ReadonlyArray<Pick<AddedToken, "content" | "id">>): void => {
  const known = idInVocabulary(config)
  let next = vocabularySize(config)
  const given = new Map<string, number>()
  for (const { content, id } of tokens) {
    const expected = given.get(content) ?? known(content) ?? next
    if (id !== expected) {
      throw new Error(`the added token ${JSON.stringify(content)} has the id ${id}, but it is the token ${expected}`)
    }
    given.set(content, id)
    next = Math.max(next, id + 1)
  }
}

/** @throws when the tokenizer is not supported @internal */
export const make = (tokenizer: Config, model: LibraryModel, makePattern: MakePattern): Encoder => {
  const added = (tokenizer["added_tokens"] ?? []) as ReadonlyArray<
    Partial<AddedToken> & Pick<AddedToken, "content" | "id">
  >
  checkIds(tokenizer["model"] as Config, added)
  return new Encoder({
    addedTokens: added.map((token) => ({ ...tokenDefaults, normalized: token.special !== true, ...token })),
    normalize: makeNormalizer(tokenizer["normalizer"], makePattern),
    preTokenize: makeStage(tokenizer["pre_tokenizer"], makePattern),
    model: makeModel(tokenizer["model"] as Config, model),
    // `truncation` and `padding` are not read: transformers sets its own for each text
    frame: makeFrame(tokenizer["post_processor"])
  })
}
