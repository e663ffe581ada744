/** Turns an unpacked checkpoint into a directory that PEFT opens. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
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

/** Checks that the directory holds a LoRA adapter, and keeps only its two files. @internal */
export const toPeftDirectory = <E, R>(
  directory: string,
  baseModel: Effect.Effect<string, E, R>
): Effect.Effect<void, TinkerError.TinkerError | E, FileSystem.FileSystem | Path.Path | R> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* checkFilesExist(fs, path, directory)
    yield* completeConfig(fs, path.join(directory, configFile), baseModel)
    yield* removeOtherFiles(fs, path, directory)
  })
