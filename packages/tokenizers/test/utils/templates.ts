/** Chat templates, conversations, and what the reference renders of them. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Either from "effect/Either"
import * as Json from "../../src/Json.ts"
import type * as Tokenizer from "../../src/Tokenizer.ts"
import { all, directoryOf } from "./vocabularies.ts"

interface Option {
  readonly name: string
  readonly add_generation_prompt: boolean
  readonly tools?: string
  readonly variables?: string
}

interface Chats {
  readonly now: string
  readonly special: { readonly [name: string]: string }
  readonly options: ReadonlyArray<Option>
  readonly tools: { readonly [name: string]: ReadonlyArray<unknown> }
  readonly variables: { readonly [name: string]: { readonly [name: string]: unknown } }
  readonly conversations: { readonly [name: string]: ReadonlyArray<Tokenizer.Message> }
}

const directory = process.env["TEMPLATES"] ?? fileURLToPath(new URL("../fixtures/templates", import.meta.url))

const read = <A>(name: string): A => Either.getOrThrow(Json.parse(readFileSync(`${directory}/${name}`, "utf8"))) as A

export const chats = read<Chats>("chats.json")

/** A hash of each rendering by template, or null where the reference rejects the conversation. */
export const renderings = read<{ readonly [template: string]: ReadonlyArray<string | null> }>("renderings.json")

export const constructs = read<{
  readonly variables: { readonly [name: string]: unknown }
  readonly templates: ReadonlyArray<readonly [template: string, text: string | null]>
}>("constructs.json")

/** Each conversation with each option, in the order of the hashes. */
export const cases = Object.entries(chats.conversations).flatMap(([name, messages]) =>
  chats.options.map((option) => ({
    name: `${name}/${option.name}`,
    messages,
    options: {
      addGenerationPrompt: option.add_generation_prompt,
      tools: option.tools === undefined ? undefined : chats.tools[option.tools]!,
      variables: option.variables === undefined ? {} : chats.variables[option.variables]!
    }
  }))
)

const configOf = (name: (typeof all)[number]) =>
  JSON.parse(readFileSync(`${directoryOf(name)}/tokenizer_config.json`, "utf8")) as { readonly chat_template: string }

/** The templates by name: those of the directory, and those of the vocabularies in packages. */
export const templates: { readonly [name: string]: string } = Object.fromEntries([
  ...readdirSync(directory)
    .filter((file) => file.endsWith(".jinja"))
    .map((file) => [file.slice(0, -".jinja".length), readFileSync(`${directory}/${file}`, "utf8")]),
  ...all.map((name) => [`package:${name}`, configOf(name).chat_template])
])

/** The hash of a text and of its spans in code points. */
export const digest = ({ generation, text }: Tokenizer.RenderedChat): string => {
  const points = (unit: number) => Array.from(text.slice(0, unit)).length
  const spans = generation.map(({ end, start }) => [points(start), points(end)])
  return createHash("sha256")
    .update(`${text}\0${JSON.stringify(spans)}`)
    .digest("hex")
    .slice(0, 12)
}
