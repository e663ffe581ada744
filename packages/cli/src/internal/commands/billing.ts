/** `tinker billing`. */
import { command, group } from "../definition/command.ts"
import { argument, flag, optionalText } from "../definition/options.ts"

const rawCsv = flag("raw-csv", "Write CSV as Python does, without escaping cells that a spreadsheet would run")

/** @internal */
export const billing = group("billing", "View billing usage.", [
  command(
    "usage",
    "Show hourly billing usage of your organization.",
    {
      startingOn: argument("starting-on", "RFC 3339 time on a UTC hour, such as 2026-07-13T00:00:00Z"),
      endingBefore: argument("ending-before", "RFC 3339 time on a UTC hour, at most 14 days later"),
      csv: optionalText("csv", "Write usage rows as CSV to this path instead ('-' for stdout)"),
      sessionsCsv: optionalText(
        "sessions-csv",
        "Write session_id and user_metadata of each session as CSV to this path ('-' for stdout)"
      ),
      rawCsv
    },
    () => import("../handlers/billing.ts").then((m) => m.usage)
  ),
  command(
    "checkpoint-storage",
    "Show the storage that checkpoints use now, and its monthly cost.",
    {
      projectId: optionalText("project-id", "Only show storage in this project"),
      csv: optionalText("csv", "Write rows as CSV to this path instead ('-' for stdout)"),
      rawCsv
    },
    () => import("../handlers/billing.ts").then((m) => m.checkpointStorage)
  )
])
