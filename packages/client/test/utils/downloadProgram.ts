/** A program that downloads a checkpoint into a directory, for tests that kill it: `<base URL> <tinker path> <directory>`. */
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { Effect, Redacted } from "effect"

const [baseUrl, path, directory] = process.argv.slice(2) as [string, string, string]

void Effect.runPromise(
  CheckpointDownload.download(path, { directory }).pipe(
    Effect.provide(RestClient.layer({ apiKey: Redacted.make("tml-download-key"), baseUrl, telemetry: false })),
    Effect.provide([FetchHttpClient.layer, NodeContext.layer])
  )
)
