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

interface Options extends Global {
  readonly path: string
  readonly output: Option.Option<string>
  readonly force: boolean
}

/** The directory for the files of a checkpoint. Fails if it exists, unless `--force` is set. */
const directoryFor = Effect.fnUntraced(function* (options: Options, checkpoint: TinkerPath.TinkerPath) {
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const name = TinkerPath.format(checkpoint).slice("tinker://".length).replaceAll("/", "_")
  const parent = Option.getOrElse(options.output, () => ".")
  const directory = path.resolve(parent, name)
  if (!options.force && (yield* Effect.orElseSucceed(fs.exists(directory), () => false))) {
    return yield* new CliError({
      title: `Target directory already exists: ${directory}`,
      details: "Use --force to overwrite or choose a different output directory"
    })
  }
  return directory
})

const printResult = (options: Options, destination: string, size: number) =>
  output.print(options.format, {
    json: { checkpoint_path: options.path, destination, ...(size > 0 ? { file_size_bytes: size } : {}) },
    table: {
      title: `Checkpoint Download: ${options.path}`,
      columns: ["Property", "Value"],
      rows: [
        ["Checkpoint Path", options.path],
        ...(size > 0 ? [["Total Size", format.size(size)]] : []),
        ["Downloaded to", destination]
      ]
    }
  })

/** @internal */
export const download = (options: Options) =>
  Effect.gen(function* () {
    const checkpoint = yield* parsePath(options.path)
    const directory = yield* directoryFor(options, checkpoint)
    const bar = yield* progress.make(options.format, "Downloading", undefined, format.size)
    const { received } = yield* withRest(
      CheckpointDownload.download(checkpoint, {
        directory,
        replace: options.force,
        onProgress: ({ file, received, total }) => bar.update(received, total, file)
      })
    )
    return [directory, received] as const
  }).pipe(
    // removes the progress bar before it prints
    Effect.scoped,
    Effect.flatMap(([directory, received]) => printResult(options, directory, received))
  )
