/** Which repository has the tokenizer of a model, by the rules of the official client. */
import type { Ref } from "../hub/model.ts"

// Their tokenizers are code, so the official client pins the revision.
const pinnedRevisions: { readonly [repo: string]: string } = {
  "moonshotai/Kimi-K2-Thinking": "612681931a8c906ddb349f8ad0f582cb552189cd",
  "moonshotai/Kimi-K2.5": "4d01dfe0332d63057c186e0b262165819efb6611",
  "moonshotai/Kimi-K2.6": "b5aabbfb20227ed42becbf5541dbffd213942c58",
  "moonshotai/Kimi-K3": "f831ab66814297da540d832a5235f8e904f29d06"
}

const ungatedLlama3 = "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"

/** A model name may have a third segment, the variant, which shares the tokenizer. */
const repoOfModel = (model: string): string => {
  if (model.startsWith("meta-llama/Llama-3")) return ungatedLlama3
  const segments = model.split("/")
  return segments.length === 3 ? `${segments[0]}/${segments[1]}` : model
}

/** A name without the variant by context length that may follow a colon. */
const withoutVariant = (name: string | undefined): string | undefined => name?.split(":", 1)[0]

/** @internal */
export const select = (modelName: string, tokenizerId: string | undefined): Ref => {
  const chosen = withoutVariant(tokenizerId) || repoOfModel(withoutVariant(modelName)!)
  const repo = chosen === "moonshotai/Kimi-K2.5-Text-Only" ? "moonshotai/Kimi-K2.5" : chosen
  return Object.hasOwn(pinnedRevisions, repo) ? { repo, revision: pinnedRevisions[repo] } : { repo }
}

/** Whether a repository exists at the service only, and not on the hub. @internal */
export const isPrivate = (repo: string): boolean => /^(TML|thinkingmachines)\//.test(repo)
