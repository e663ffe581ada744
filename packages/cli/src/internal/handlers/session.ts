/** Handler of `tinker session export-trace`. */
import * as RestClient from "@effect-tinker/client/RestClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CliError } from "../errors/cliError.ts"
import type { Global } from "../definition/global.ts"
import * as format from "../terminal/format.ts"
import * as output from "../terminal/output.ts"
import * as progress from "../terminal/progress.ts"
import { withRest } from "../service/rest.ts"

const expired = "The signed URL may have expired (it is valid for about an hour): run the command again for a fresh one"

const toCliError = (cause: { readonly message: string }) =>
  new CliError({ title: `Failed to download the trace: ${cause.message}`, details: expired, cause })

/** Downloads a trace. The file appears once it is complete. Succeeds with its size in bytes. */
const download = (url: string, file: string, form: output.Format) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const http = yield* HttpClient.HttpClient
    const response = yield* Effect.mapError(http.get(url), () =>
      toCliError({ message: `${new URL(url).origin} could not be reached` })
    )
    if (response.status !== 200) return yield* toCliError({ message: `status ${response.status}` })
    const total = Number(response.headers["content-length"]) || undefined
    const bar = yield* progress.make(form, "Downloading trace", total, format.size)
    yield* Effect.mapError(fs.makeDirectory(dirname(file), { recursive: true }), toCliError)
    const part = `${file}.part`
    let received = 0
    yield* response.stream.pipe(
      Stream.mapError(() => toCliError({ message: "the connection was lost" })),
      Stream.tap((chunk) => {
        received += chunk.length
        return bar.update(received)
      }),
      Stream.run(fs.sink(part)),
      Effect.andThen(fs.rename(part, file)),
      Effect.mapError((error) => (error instanceof CliError ? error : toCliError(error))),
      Effect.onError(() => Effect.ignore(fs.remove(part)))
    )
    return received
  }).pipe(Effect.scoped)

interface Options extends Global {
  readonly sessionId: string
  readonly output: Option.Option<string>
  readonly urlOnly: boolean
}

const printResult = (options: Options, destination: string, size: number) =>
  output.print(options.format, {
    json: { session_id: options.sessionId, destination, ...(size > 0 ? { file_size_bytes: size } : {}) },
    table: {
      title: `Trace Export: ${options.sessionId}`,
      columns: ["Property", "Value"],
      rows: [
        ["Session ID", options.sessionId],
        ["Saved to", destination],
        ...(size > 0 ? [["Size", format.size(size)]] : [])
      ]
    }
  })

/** @internal */
export const exportTrace = (options: Options) =>
  Effect.gen(function* () {
    const { sessionId: session_id } = options
    yield* output.note(options.format, `Exporting trace for session ${session_id} (this may take a while)...`)
    yield* withRest(
      Effect.gen(function* () {
        const rest = yield* RestClient.RestClient
        const path = yield* Path.Path
        const url = yield* rest.exportSessionTrace(session_id)
        if (options.urlOnly) {
          return yield* output.text(options.format, { json: { session_id, url }, text: `${url}\n` })
        }
        const destination = Option.getOrElse(options.output, () =>
          path.resolve(`${session_id.replace(/[\\/]/g, "_")}.pftrace`)
        )
        const size = yield* download(url, destination, options.format)
        yield* printResult(options, destination, size)
      })
    )
  })
