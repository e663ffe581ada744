/** `tinker version`. */
import { command } from "../definition/command.ts"

/** @internal */
export const version = command("version", "Show the version.", {}, () =>
  import("../handlers/version.ts").then((m) => m.version)
)
