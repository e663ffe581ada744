/** `tinker model`. */
import * as Args from "@effect/cli/Args"
import { command, group } from "../definition/command.ts"
import { argument } from "../definition/options.ts"

/** @internal */
export const model = group("model", "List available models.", [
  command(
    "list",
    "List the models that you can train or sample from.",
    { substring: argument("substring", "Only models whose name contains this, ignoring case").pipe(Args.optional) },
    () => import("../handlers/model.ts").then((m) => m.list)
  )
])
