/** Turns an unpacked checkpoint into a directory that PEFT opens. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fileError } from "./fileErrors.ts"

const configFile = "adapter_config.json"
const weightsFile = "adapter_model.safetensors"

const method = "exportPeft"

const Config = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const decodeConfig = Schema.decodeUnknown(Schema.parseJson(Config))

/** The header of a safetensors file. */
const Header = Schema.Record({
  key: Schema.String,
  value: Schema.Struct({
    dtype: Schema.optional(Schema.String),
    shape: Schema.optional(Schema.Array(Schema.NonNegativeInt)),
    data_offsets: Schema.optional(Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt))
  })
})
const decodeHeader = Schema.decodeUnknown(Schema.parseJson(Header))

const maxHeaderSize = 100 * 2 ** 20

const rejectFile = (file: string, reason: string) => new TinkerError.FileError({ method, path: file, reason })

/** Both files of an adapter must be there. */
const checkFilesExist = (
  fs: FileSystem.FileSystem,
  { join }: Path.Path,
  directory: string
): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    for (const name of [configFile, weightsFile]) {
      if (!(yield* Effect.mapError(fs.exists(join(directory, name)), fileError(method, name)))) {
        return yield* rejectFile(name, "is not in the checkpoint, so PEFT cannot load it as an adapter")
      }
    }
  })

/** Checks the configuration, and adds the base model where it is missing. */
const completeConfig = <E, R>(
  fs: FileSystem.FileSystem,
  path: string,
  baseModel: Effect.Effect<string, E, R>
): Effect.Effect<void, TinkerError.TinkerError | E, R> =>
  Effect.gen(function* () {
    const text = yield* Effect.mapError(fs.readFileString(path), fileError(method, configFile))
    const config = yield* Effect.mapError(decodeConfig(text), () =>
      rejectFile(configFile, "is not the configuration of an adapter")
    )
    const { base_model_name_or_path, peft_type = "LORA", r } = config
    if (peft_type !== "LORA" || typeof r !== "number") {
      return yield* rejectFile(configFile, "is not the configuration of a LoRA adapter")
    }
    if (typeof base_model_name_or_path !== "string" || base_model_name_or_path === "") {
      const completed = { ...config, peft_type, base_model_name_or_path: yield* baseModel }
      yield* Effect.mapError(
        fs.writeFileString(path, JSON.stringify(completed, undefined, 2)),
        fileError(method, configFile)
      )
    }
  })

/** Whether a safetensors file has exactly the bytes that its header announces. */
const isCompleteSafeTensors = (
  fs: FileSystem.FileSystem,
  path: string
): Effect.Effect<boolean, PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const file = yield* fs.open(path)
    const size = Number((yield* file.stat).size)
    const prefix = new Uint8Array(8)
    yield* file.read(prefix)
    const length = Number(new DataView(prefix.buffer).getBigUint64(0, true))
    if (size < 8 || length > maxHeaderSize || 8 + length > size) return false
    const bytes = new Uint8Array(length)
    yield* file.read(bytes)
    const header = yield* Effect.orElseSucceed(decodeHeader(new TextDecoder().decode(bytes)), () => undefined)
    if (header === undefined) return false
    const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__")
    const end = Math.max(0, ...tensors.map(([, { data_offsets }]) => data_offsets?.[1] ?? Number.POSITIVE_INFINITY))
    return tensors.length > 0 && 8 + length + end === size
  }).pipe(Effect.scoped)

const removeOtherFiles = (
  fs: FileSystem.FileSystem,
  { join }: Path.Path,
  directory: string
): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    for (const name of yield* Effect.mapError(fs.readDirectory(directory), fileError(method, directory))) {
      if (name !== configFile && name !== weightsFile) {
        yield* Effect.mapError(fs.remove(join(directory, name), { recursive: true }), fileError(method, name))
      }
    }
  })

/** Checks that the directory holds a complete LoRA adapter, and keeps only its two files. @internal */
export const toPeftDirectory = <E, R>(
  directory: string,
  baseModel: Effect.Effect<string, E, R>
): Effect.Effect<void, TinkerError.TinkerError | E, FileSystem.FileSystem | Path.Path | R> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* checkFilesExist(fs, path, directory)
    yield* completeConfig(fs, path.join(directory, configFile), baseModel)
    const isComplete = yield* Effect.mapError(
      isCompleteSafeTensors(fs, path.join(directory, weightsFile)),
      fileError(method, weightsFile)
    )
    if (!isComplete) return yield* rejectFile(weightsFile, "is cut off, damaged or empty")
    yield* removeOtherFiles(fs, path, directory)
  })
