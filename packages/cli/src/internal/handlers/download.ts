import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import * as format from "../format.ts"
import * as output from "../output.ts"
import * as progress from "../progress.ts"
import { withRest } from "../rest.ts"
import { checkPath } from "./checkpoint.ts"

/** @internal */
export const download = (
  options: Global & {
    readonly path: string
    readonly output: Option.Option<string>
    readonly force: boolean
  }
) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const fs = yield* FileSystem.FileSystem
    const parsed = yield* checkPath(options.path)
    const name = TinkerPath.format(parsed).slice("tinker://".length).replaceAll("/", "_")
    const directory = path.resolve(
      Option.getOrElse(options.output, () => "."),
      name
    )
    if (!options.force && (yield* Effect.orElseSucceed(fs.exists(directory), () => false))) {
      return yield* new CliError({
        title: `Target directory already exists: ${directory}`,
        details: "Use --force to overwrite or choose a different output directory"
      })
    }
    const { received } = yield* Effect.scoped(
      Effect.gen(function* () {
        const bar = yield* progress.make(options.format, "Downloading", undefined, format.size)
        return yield* withRest(
          CheckpointDownload.download(parsed, {
            directory,
            replace: options.force,
            onProgress: ({ file, received, total }) => bar.at(received, total, file)
          })
        )
      })
    )
    yield* output.print(options.format, {
      json: {
        checkpoint_path: options.path,
        destination: directory,
        ...(received > 0 ? { file_size_bytes: received } : {})
      },
      table: {
        title: `Checkpoint Download: ${options.path}`,
        columns: ["Property", "Value"],
        rows: [
          ["Checkpoint Path", options.path],
          ...(received > 0 ? [["Total Size", format.size(received)]] : []),
          ["Downloaded to", directory]
        ]
      }
    })
  })
