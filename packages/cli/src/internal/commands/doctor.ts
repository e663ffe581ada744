/** `tinker doctor`. */
import { command } from "../definition/command.ts"
import { baseModel, checkpoints } from "../definition/connectionOptions.ts"
import { flag } from "../definition/options.ts"

/** @internal */
export const doctor = command(
  "doctor",
  "Check the setup, try the service, and suggest fixes.",
  {
    model: baseModel,
    try: flag("try", "Try a forward pass, a sample and a save, which is deleted; the default on this computer"),
    noTry: flag("no-try", "Only check what costs nothing"),
    json: flag("json", "Print a JSON document for a bug report; the same as --format json"),
    checkpoints
  },
  () => import("../handlers/doctor.ts").then((m) => m.doctor)
)
