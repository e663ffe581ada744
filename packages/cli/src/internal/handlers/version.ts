/** Handler of `tinker version`. */
import type { Global } from "../definition/global.ts"
import * as output from "../terminal/output.ts"
import { version as number } from "../util/version.ts"

/** @internal */
export const version = ({ format }: Global) =>
  output.text(format, { json: { version: number }, text: `tinker ${number}\n` })
