/**
 * The tokenizer model `llama` of GGUF files: SentencePiece's byte-pair encoding. The file has a score for each token, by
 * which pairs merge, in the place of a list of merges.
 */

/** The types of tokens in the metadata. */
const normalType = 1
const byteType = 6

/** A pair of parts of a token, by their ids. */
interface Pair {
  readonly left: number
  readonly right: number
  readonly merged: number
}

/** All ways to make a token of two others. */
const pairsOf = (token: string, merged: number, ids: ReadonlyMap<string, number>): ReadonlyArray<Pair> => {
  const pairs: Array<Pair> = []
  let at = 0
  for (const char of token) {
    at += char.length
    if (at === token.length) break
    const [left, right] = [ids.get(token.slice(0, at)), ids.get(token.slice(at))]
    if (left !== undefined && right !== undefined) pairs.push({ left, right, merged })
  }
  return pairs.sort((a, b) => a.left - b.left || a.right - b.right)
}

/** The merges that scores stand for: those of the highest score come first. */
const mergesOf = (
  tokens: ReadonlyArray<string>,
  scores: ReadonlyArray<number>,
  types: ReadonlyArray<number>
): ReadonlyArray<readonly [string, string]> => {
  const ids = new Map(tokens.flatMap((token, id) => (types[id] === normalType ? [[token, id] as const] : [])))
  const pairs = Array.from(ids, ([token, id]) => pairsOf(token, id, ids)).flat()
  return pairs
    .sort((a, b) => scores[b.merged]! - scores[a.merged]!)
    .map(({ left, right }) => [tokens[left]!, tokens[right]!] as const)
}

const isNumbers = (value: unknown, count: number): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.length === count && value.every((item) => typeof item === "number")

type Metadata = { readonly [key: string]: unknown }

/** Why the lists of scores and types do not fit the tokens. @internal */
export const problems = (metadata: Metadata): ReadonlyArray<string> => {
  const tokens = metadata["tokenizer.ggml.tokens"]
  const count = Array.isArray(tokens) ? tokens.length : 0
  return ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"].flatMap((name) =>
    isNumbers(metadata[name], count) ? [] : [`${name} is not a list of a number for each token`]
  )
}

/** The parts of `tokenizer.json` in which it differs from byte-level BPE. @internal */
export const parts = (metadata: Metadata, unknown: string | undefined): object => {
  const tokens = metadata["tokenizer.ggml.tokens"] as ReadonlyArray<string>
  const scores = metadata["tokenizer.ggml.scores"] as ReadonlyArray<number>
  const types = metadata["tokenizer.ggml.token_type"] as ReadonlyArray<number>
  const hasPrefix = metadata["tokenizer.ggml.add_space_prefix"] !== false
  const space = { type: "Replace", pattern: { String: " " }, content: "▁" }
  return {
    normalizer: hasPrefix
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, space] }
      : { type: "Sequence", normalizers: [space] },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(hasPrefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [])
      ]
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unknown ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: types.includes(byteType),
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: mergesOf(tokens, scores, types)
    }
  }
}
