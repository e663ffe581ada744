/** `tinker report` and `tinker watch`. */
import * as Options from "@effect/cli/Options"
import { command } from "../definition/command.ts"
import { argument, optionalText } from "../definition/options.ts"

const directory = argument("directory", "The directory of a run, as tinker train writes it")

/** @internal */
export const report = command(
  "report",
  "Write a page of a run, in one file that opens without a server.",
  { directory, output: optionalText("output", "The file to write (default: report.html in the directory)") },
  () => import("../handlers/report.ts").then((m) => m.report)
)

/** @internal */
export const watch = command(
  "watch",
  "Show a run in the browser while it goes on.",
  {
    directory,
    port: Options.integer("port").pipe(
      Options.withDescription("Port to listen on, on this computer alone (default: any free one)"),
      Options.withDefault(0)
    )
  },
  () => import("../handlers/report.ts").then((m) => m.watch)
)
