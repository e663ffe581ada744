/** `tinker session`. */
import * as Options from "@effect/cli/Options"
import { command, group } from "../definition/command.ts"
import { argument, flag, optionalText } from "../definition/options.ts"

/** @internal */
export const session = group("session", "Manage sessions.", [
  command(
    "export-trace",
    "Export a session's timeline as a Perfetto trace, to open in https://ui.perfetto.dev.",
    {
      sessionId: argument("session-id", "The id of a session"),
      output: optionalText("output", "Output file path (default: ./<session-id>.pftrace)").pipe(Options.withAlias("o")),
      urlOnly: flag("url-only", "Print the signed download URL instead of downloading the trace")
    },
    () => import("../handlers/session.ts").then((m) => m.exportTrace)
  )
])
