/** Chat templates: parsed once, rendered with messages and variables. */
import { globals } from "../jinja/globals.ts"
import { parse as parseTemplate } from "../jinja/parser.ts"
import { render } from "../jinja/render.ts"
import { Scope } from "../jinja/scope.ts"
import { fail, startMeter } from "../python/failure.ts"
import { origin, Str } from "../python/text.ts"
import { None, type Value } from "../python/values.ts"
import { convert, convertMessage } from "./convert.ts"
import { strftime } from "./strftime.ts"

/** What a template is rendered with. @internal */
export interface Input {
  readonly messages: ReadonlyArray<object>
  readonly tools: ReadonlyArray<unknown> | undefined
  readonly documents: ReadonlyArray<unknown> | undefined
  readonly addGenerationPrompt: boolean
  /** special tokens, which are the template's own text */
  readonly tokens: { readonly [name: string]: string }
  /** further variables, which are data, but for special tokens */
  readonly variables: { readonly [name: string]: unknown }
}

/** Renders a template; `now` is the time in milliseconds since the epoch. @internal */
export type Template = (now: number, input: Input) => Str

const dicts = (name: string, values: ReadonlyArray<unknown> | undefined): Value =>
  values === undefined
    ? None
    : values.map((value, i) =>
        typeof value === "object" && value !== null && !Array.isArray(value)
          ? convert(value, `${name}[${i}]`, origin.data)
          : fail(`got ${name}[${i}] that is not an object`)
      )

const scopeOf = (now: number, input: Input): Scope => {
  const scope = new Scope()
  const set = (name: string, value: Value) => scope.set(name, value)
  for (const [name, value] of globals((format) => strftime(new Date(now), format))) set(name, value)
  for (const [name, text] of Object.entries(input.tokens)) set(name, new Str(text))
  if (input.messages.length === 0) fail("got no messages: give at least one")
  const messages = input.messages.map((message, i) => convertMessage(message, `messages[${i}]`))
  set("messages", messages)
  set("tools", dicts("tools", input.tools))
  set("documents", dicts("documents", input.documents))
  set("add_generation_prompt", input.addGenerationPrompt)
  for (const [name, value] of Object.entries(input.variables)) {
    // a program that gives a special token means the token
    if (value !== undefined) set(name, convert(value, name, name.endsWith("_token") ? origin.template : origin.data))
  }
  return new Scope(scope)
}

/**
 * Parses a template.
 *
 * @throws when the template is invalid; the returned function throws when the template rejects its variables.
 * @internal
 */
export const parse = (text: string): Template => {
  const body = parseTemplate(text)
  return (now, input) => {
    startMeter()
    return render(body, scopeOf(now, input))
  }
}
