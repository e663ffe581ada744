/** `tinker sample`. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import { command } from "../definition/command.ts"
import { argument, flag, integer } from "../definition/options.ts"
import { sampling } from "../definition/samplingOptions.ts"

/** @internal */
export const sample = command(
  "sample",
  "Sample from a base model or a checkpoint.",
  {
    prompt: argument("prompt", "The prompt (default: standard input)").pipe(Args.optional),
    num: integer("num-samples", 1, "Number of independent samples").pipe(Options.withAlias("n")),
    chat: flag("chat", "Treat the prompt as a user message: apply the chat template"),
    ...sampling
  },
  () => import("../handlers/sample.ts").then((m) => m.sample)
)
