/** Renderers by name. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import type * as Effect from "effect/Effect"
import { makeChatTemplate, makeLlama3, makeQwen3, makeRoleColon } from "./make.ts"
import type { RendererError, Service } from "../formats/model.ts"

/** Makes the renderer of a name from a tokenizer. @internal */
export type Make = (name: string, tokenizer: Tokenizer.Service) => Effect.Effect<Service, RendererError>

const thinking = { framesThinking: true, stripsThinking: true, disablesThinking: false }

/** @internal */
export const builtIn: { readonly [name: string]: Make } = {
  role_colon: makeRoleColon,
  llama3: makeLlama3,
  qwen3: makeQwen3(thinking),
  qwen3_preserve_thinking: makeQwen3({ ...thinking, stripsThinking: false }),
  qwen3_disable_thinking: makeQwen3({ ...thinking, disablesThinking: true }),
  qwen3_instruct: makeQwen3({ ...thinking, framesThinking: false, stripsThinking: false }),
  chat_template: makeChatTemplate({})
}
