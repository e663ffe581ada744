/** Renders conversations with the chat templates of a tokenizer. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as template from "../chat/template.ts"
import type { Str } from "../python/text.ts"
import { messageOf } from "../util/causes.ts"
import { ChatTemplateError, type ChatOptions, type Message } from "./model.ts"

type Templates = { readonly [name: string]: string }

/** Without a choice, the template for tools is used if there are tools, and otherwise the default one. */
const selectTemplate = (templates: Templates, { template, tools }: ChatOptions): string | undefined => {
  if (template !== undefined) return Object.hasOwn(templates, template) ? templates[template] : template
  return (tools === undefined ? undefined : templates["tool_use"]) ?? templates["default"]
}

const parse = (text: string): Effect.Effect<template.Template, ChatTemplateError> =>
  Effect.try({
    try: () => template.parse(text),
    catch: (cause) => new ChatTemplateError({ reason: `cannot be parsed: ${reasonOf(cause)}`, cause })
  })

/** A reason may quote the messages: it is cut, and without characters that a terminal would act on. */
const reasonOf = (cause: unknown): string =>
  messageOf(cause)
    .slice(0, 1000)
    .replace(/[\p{Cc}\p{Cs}]/gu, " ")

const inputOf = (
  tokens: { readonly [name: string]: string },
  messages: ReadonlyArray<Message>,
  options: ChatOptions
): template.Input => ({
  messages,
  tools: options.tools,
  documents: options.documents,
  addGenerationPrompt: options.addGenerationPrompt ?? false,
  tokens,
  variables: options.variables ?? {}
})

/** Renders a conversation with one of the templates, and says with which. @internal */
export type Renderer = (
  messages: ReadonlyArray<Message>,
  options?: ChatOptions
) => Effect.Effect<{ readonly template: string; readonly text: Str }, ChatTemplateError>

/** A renderer that parses each template once. `tokens` are the special tokens that templates can print. @internal */
export const makeRenderer = (templates: Templates, tokens: { readonly [name: string]: string }): Renderer => {
  const parsed = new Map<string, template.Template>()
  return (messages, options = {}) =>
    Effect.gen(function* () {
      const text = selectTemplate(templates, options)
      if (text === undefined) {
        const reason = "is missing: this tokenizer has none, give one as the option `template`"
        return yield* new ChatTemplateError({ reason })
      }
      const now = yield* Clock.currentTimeMillis
      const render = parsed.get(text) ?? (yield* parse(text))
      parsed.set(text, render)
      const rendered = yield* Effect.try({
        try: () => render(now, inputOf(tokens, messages, options)),
        catch: (cause) => new ChatTemplateError({ reason: `rejected the messages: ${reasonOf(cause)}`, cause })
      })
      return { template: text, text: rendered }
    })
}
