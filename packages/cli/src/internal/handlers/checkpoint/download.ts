/** Handler of `tinker checkpoint download`. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parsePath } from "../../checkpoints/path.ts"
import { CliError } from "../../errors/cliError.ts"
import type { Global } from "../../definition/global.ts"
import * as format from "../../terminal/format.ts"
import * as output from "../../terminal/output.ts"
import * as progress from "../../terminal/progress.ts"
import { withRest } from "../../service/rest.ts"

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
    const parsed = yield* parsePath(options.path)
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
            onProgress: ({ file, received, total }) => bar.update(received, total, file)
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
