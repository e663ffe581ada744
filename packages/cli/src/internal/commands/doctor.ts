/** `tinker doctor`. */
import { command } from "../definition/command.ts"
import { baseModel } from "../definition/connectionOptions.ts"

/** @internal */
export const doctor = command(
  "doctor",
  "Check the key, the URL, the clock, the service and the tokenizer, and suggest fixes.",
  { model: baseModel },
  () => import("../handlers/doctor.ts").then((m) => m.doctor)
)
