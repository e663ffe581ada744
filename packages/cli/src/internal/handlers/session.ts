import * as RestClient from "@effect-tinker/client/RestClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CliError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as format from "../format.ts"
import * as output from "../output.ts"
import * as progress from "../progress.ts"
import { withRest } from "../rest.ts"

const expired = "The signed URL may have expired (it is valid for about an hour): run the command again for a fresh one"

/** A trace, beside its place until all of it is there. */
const download = (url: string, file: string, form: output.Format) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const http = yield* HttpClient.HttpClient
    const failed = (cause: { readonly message: string }) =>
      new CliError({ title: `Failed to download the trace: ${cause.message}`, details: expired, cause })
    const response = yield* Effect.mapError(http.get(url), () =>
      failed({ message: `${new URL(url).origin} could not be reached` })
    )
    if (response.status !== 200) return yield* failed({ message: `status ${response.status}` })
    const total = Number(response.headers["content-length"]) || undefined
    const bar = yield* progress.make(form, "Downloading trace", total, format.size)
    yield* Effect.mapError(fs.makeDirectory(dirname(file), { recursive: true }), failed)
    const part = `${file}.part`
    let received = 0
    yield* response.stream.pipe(
      Stream.mapError(() => failed({ message: "the connection was lost" })),
      Stream.tap((chunk) => {
        received += chunk.length
        return bar.at(received)
      }),
      Stream.run(fs.sink(part)),
      Effect.zipRight(fs.rename(part, file)),
      Effect.mapError((error) => (error instanceof CliError ? error : failed(error))),
      Effect.onError(() => Effect.ignore(fs.remove(part)))
    )
    return received
  }).pipe(Effect.scoped)

/** @internal */
export const exportTrace = (
  options: Global & {
    readonly sessionId: string
    readonly output: Option.Option<string>
    readonly urlOnly: boolean
  }
) =>
  Effect.gen(function* () {
    const session_id = options.sessionId
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
        yield* output.print(options.format, {
          json: { session_id, destination, ...(size > 0 ? { file_size_bytes: size } : {}) },
          table: {
            title: `Trace Export: ${session_id}`,
            columns: ["Property", "Value"],
            rows: [
              ["Session ID", session_id],
              ["Saved to", destination],
              ...(size > 0 ? [["Size", format.size(size)]] : [])
            ]
          }
        })
      })
    )
  })
