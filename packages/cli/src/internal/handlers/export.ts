/** Handler of `tinker export`. */
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parsePath } from "../checkpoints/path.ts"
import type { Global } from "../definition/global.ts"
import { CliError, UsageError } from "../errors/cliError.ts"
import * as embedded from "../service/embedded.ts"
import * as models from "../service/models.ts"
import { withRestOrLocal } from "../service/rest.ts"
import { shippedModel } from "../service/tokenizer.ts"
import * as output from "../terminal/output.ts"
import * as progress from "../terminal/progress.ts"
import * as format from "../terminal/format.ts"
import * as files from "../util/files.ts"

interface Options extends Global {
  readonly checkpoint: string
  readonly kind: "peft" | "safetensors" | "gguf"
  readonly type: Option.Option<"f16" | "q8_0">
  readonly out: string
  readonly base: Option.Option<string>
  readonly checkpoints: string
  readonly force: boolean
}

const configFile = "adapter_config.json"

/** Options that contradict each other. */
const check = ({ base, kind, out, type }: Options): Effect.Effect<void, UsageError> => {
  if (kind !== "gguf" && Option.isSome(type)) {
    return new UsageError({ reason: `--type is for --format gguf; ${kind} keeps the precision of the model` })
  }
  if (kind === "gguf" && !out.endsWith(".gguf")) {
    return new UsageError({ reason: `--out is '${out}': give a path that ends with .gguf` })
  }
  return kind === "peft" && Option.isSome(base)
    ? new UsageError({ reason: "--base is for merged models; --format peft writes the adapter alone" })
    : Effect.void
}

/** Fails if there is something at the place of the result, before anything is downloaded. */
const checkOut = Effect.fnUntraced(function* ({ force, out }: Options) {
  const fs = yield* FileSystem.FileSystem
  const { resolve } = yield* Path.Path
  const path = resolve(out)
  if (!force && (yield* Effect.orElseSucceed(fs.exists(path), () => false))) {
    return yield* new CliError({
      title: `${path} exists already`,
      details: "Use --force to replace it, or choose another"
    })
  }
  return path
})

/** Downloads the adapter of a checkpoint into a directory. */
const download = Effect.fnUntraced(function* (options: Options, directory: string) {
  const checkpoint = yield* parsePath(options.checkpoint)
  const bar = yield* progress.make(options.format, "Downloading", undefined, format.size)
  return yield* withRestOrLocal(
    CheckpointDownload.exportPeft(checkpoint, {
      directory,
      replace: options.force,
      onProgress: ({ file, received, total }) => bar.update(received, total, file)
    }),
    options.checkpoints
  )
})

/** The directory of the adapter: the one that is given, or a temporary one that it is downloaded into. */
const adapterOf = Effect.fnUntraced(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const { join, resolve } = yield* Path.Path
  const given = resolve(options.checkpoint)
  const isLocal = yield* Effect.orElseSucceed(fs.exists(join(given, configFile)), () => false)
  if (isLocal) return given
  const directory = join(yield* fs.makeTempDirectoryScoped({ prefix: "tinker-export-" }), "adapter")
  yield* Effect.scoped(download(options, directory))
  return directory
})

const decodeConfig = Schema.decodeUnknownOption(
  Schema.parseJson(Schema.Struct({ base_model_name_or_path: Schema.String }))
)

/** Where the base model is: as given, or by the name in the adapter. */
const baseOf = Effect.fnUntraced(function* ({ base }: Options, adapter: string) {
  const { join } = yield* Path.Path
  const named = decodeConfig(yield* files.readText(join(adapter, configFile)))
  const name = Option.orElse(base, () => Option.map(named, (config) => config.base_model_name_or_path))
  if (Option.isSome(name) && name.value === shippedModel) {
    const local = yield* embedded.load
    return (yield* Effect.promise(() => local.shipped())).directory
  }
  const found = yield* models.located(name, [])
  if (Option.isSome(found)) return found.value.directory
  return yield* new CliError({
    title: Option.isSome(name) ? `The base model ${name.value} was not found` : "The adapter names no base model",
    details: "Set --base to its directory, its GGUF file or its Hugging Face repository"
  })
})

const printResult = (options: Options, out: string) =>
  output.text(options.format, {
    json: { checkpoint: options.checkpoint, format: options.kind, out },
    text: `Wrote ${options.checkpoint} as ${options.kind} to ${out}\n`
  })

const merge = Effect.fnUntraced(function* (options: Options, out: string) {
  const adapter = yield* adapterOf(options)
  const base = yield* baseOf(options, adapter)
  yield* embedded.exportModel({
    base,
    adapter,
    out,
    replace: options.force,
    gguf: options.kind === "gguf" ? Option.getOrElse(options.type, () => "f16" as const) : undefined
  })
})

/** @internal */
export const exportCheckpoint = (options: Options) =>
  Effect.gen(function* () {
    yield* check(options)
    const out = yield* checkOut(options)
    yield* Effect.scoped(options.kind === "peft" ? download(options, out) : merge(options, out))
    yield* printResult(options, out)
  })
