/** `tinker run`. */
import * as Options from "@effect/cli/Options"
import { command, group } from "../definition/command.ts"
import { checkpoints } from "../definition/connectionOptions.ts"
import { argument, limit, optionalText } from "../definition/options.ts"
import * as runColumns from "../definition/runColumns.ts"

const columns = optionalText(
  "columns",
  `Columns to display (comma-separated): ${runColumns.names.join(", ")}. Default: ${runColumns.defaults.join(",")}`
).pipe(Options.withAlias("c"))

/** @internal */
export const run = group("run", "Manage training runs.", [
  command("list", "List all training runs.", { limit: limit("runs to fetch"), columns, checkpoints }, () =>
    import("../handlers/run.ts").then((m) => m.list)
  ),
  command("info", "Show details of a specific run.", { runId: argument("run-id", "The id of a training run") }, () =>
    import("../handlers/run.ts").then((m) => m.info)
  )
])
