import type { Global } from "../commands.ts"
import * as output from "../output.ts"
import { version as number } from "../version.ts"

/** @internal */
export const version = ({ format }: Global) =>
  output.text(format, { json: { version: number }, text: `tinker ${number}\n` })
