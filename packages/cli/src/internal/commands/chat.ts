/** `tinker chat`. */
import { command } from "../definition/command.ts"
import { optionalText } from "../definition/options.ts"
import { sampling } from "../definition/samplingOptions.ts"

/** @internal */
export const chat = command(
  "chat",
  "Chat with a base model or a checkpoint. Lines of a file or a pipe are one message each.",
  { system: optionalText("system", "System message"), ...sampling },
  () => import("../handlers/chat.ts").then((m) => m.chat)
)
