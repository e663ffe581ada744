/** Reads special tokens and chat templates from a tokenizer's config. */
import type { Source } from "./model.ts"

/** @internal */
export interface TokenizerConfig {
  readonly [key: string]: unknown
}

/** @internal */
export const isRecord = (u: unknown): u is { readonly [key: string]: unknown } =>
  typeof u === "object" && u !== null && !Array.isArray(u)

/** The config, with the special tokens that only `special_tokens_map.json` has. @internal */
export const mergeConfig = (source: Source): TokenizerConfig => ({
  ...(isRecord(source.specialTokensMap) ? source.specialTokensMap : {}),
  ...(isRecord(source.config) ? source.config : {})
})

/** A special token is written as its text, or as an object with the text as `content`. @internal */
export const tokenText = (u: unknown): string | undefined => {
  const content = isRecord(u) ? u["content"] : u
  return typeof content === "string" ? content : undefined
}

/** The special tokens that templates can print, such as `bos_token` or `image_token`. @internal */
export const templateTokens = (config: TokenizerConfig): { readonly [name: string]: string } => {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(config)) {
    const text = name.endsWith("_token") ? tokenText(value) : undefined
    if (text !== undefined) out[name] = text
  }
  return out
}

/** The chat templates by name. `file` is the content of a template file, which is the default template. @internal */
export const chatTemplates = (
  config: TokenizerConfig,
  file: string | undefined
): { readonly [name: string]: string } => {
  const out: Record<string, string> = {}
  const configured = config["chat_template"]
  if (typeof configured === "string") out["default"] = configured
  for (const each of Array.isArray(configured) ? configured : []) {
    if (isRecord(each) && typeof each["name"] === "string" && typeof each["template"] === "string") {
      out[each["name"]] = each["template"]
    }
  }
  if (file !== undefined) out["default"] = file
  return out
}
