/** Handlers of `tinker report` and `tinker watch`. */
import * as NodeReport from "@effect-tinker/cookbook/NodeReport"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Global } from "../definition/global.ts"
import { CliError, UsageError } from "../errors/cliError.ts"
import * as output from "../terminal/output.ts"

const toCliError = ({ message }: NodeReport.ReportError) =>
  new CliError({ title: message, details: "tinker train writes the directory of a run: see --output there" })

/** @internal */
export const report = ({
  directory,
  format,
  output: file
}: Global & { readonly directory: string; readonly output: Option.Option<string> }) =>
  NodeReport.write(directory, { file: Option.getOrUndefined(file) }).pipe(
    Effect.mapError(toCliError),
    Effect.flatMap((path) => output.text(format, { json: { report: path }, text: `${path}\n` }))
  )

/** @internal */
export const watch = ({ directory, format, port }: Global & { readonly directory: string; readonly port: number }) =>
  Effect.gen(function* () {
    if (port < 0 || port > 65_535) {
      return yield* new UsageError({ reason: `--port is ${port}: give 0 for any free one, or up to 65535` })
    }
    const url = yield* Effect.mapError(NodeReport.watch(directory, { port }), toCliError)
    yield* output.text(format, { json: { url }, text: `${url}\n` })
    yield* output.note(format, "Open it in a browser; Ctrl-C ends it")
    return yield* Effect.never
  }).pipe(Effect.scoped)
