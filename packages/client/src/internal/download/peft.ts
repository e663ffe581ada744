import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fileError } from "./transfers.ts"

const configFile = "adapter_config.json"
const weightsFile = "adapter_model.safetensors"

const Config = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const readConfig = Schema.decodeUnknown(Schema.parseJson(Config))

const Header = Schema.Record({
  key: Schema.String,
  value: Schema.Struct({
    dtype: Schema.optional(Schema.String),
    shape: Schema.optional(Schema.Array(Schema.NonNegativeInt)),
    data_offsets: Schema.optional(Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt))
  })
})
const readHeader = Schema.decodeUnknown(Schema.parseJson(Header))

const headerLimit = 100 * 2 ** 20

/** Leaves in a directory what PEFT reads, and checks that it can. @internal */
export const finish = <E, R>({
  baseModel,
  method,
  place
}: {
  readonly method: string
  readonly place: string
  readonly baseModel: Effect.Effect<string, E, R>
}) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const wrong = (file: string, reason: string) => new TinkerError.FileError({ method, path: file, reason })

    for (const name of [configFile, weightsFile]) {
      if (!(yield* Effect.mapError(fs.exists(join(place, name)), fileError(method, name)))) {
        return yield* wrong(name, "is not in the checkpoint, which therefore is no adapter for PEFT")
      }
    }

    const config = yield* fs.readFileString(join(place, configFile)).pipe(
      Effect.mapError(fileError(method, configFile)),
      Effect.flatMap((text) =>
        Effect.mapError(readConfig(text), () => wrong(configFile, "is not the configuration of an adapter"))
      )
    )
    const { base_model_name_or_path, peft_type = "LORA", r } = config
    if (peft_type !== "LORA" || typeof r !== "number") {
      return yield* wrong(configFile, "is not the configuration of a LoRA adapter")
    }
    if (typeof base_model_name_or_path !== "string" || base_model_name_or_path === "") {
      const named = { ...config, peft_type, base_model_name_or_path: yield* baseModel }
      yield* fs
        .writeFileString(join(place, configFile), JSON.stringify(named, undefined, 2))
        .pipe(Effect.mapError(fileError(method, configFile)))
    }

    const file = join(place, weightsFile)
    const isWhole = yield* Effect.gen(function* () {
      const opened = yield* fs.open(file)
      const size = Number((yield* opened.stat).size)
      const start = new Uint8Array(8)
      yield* opened.read(start)
      const length = Number(new DataView(start.buffer).getBigUint64(0, true))
      if (size < 8 || length > headerLimit || 8 + length > size) return false
      const bytes = new Uint8Array(length)
      yield* opened.read(bytes)
      const header = yield* Effect.orElseSucceed(readHeader(new TextDecoder().decode(bytes)), () => undefined)
      if (header === undefined) return false
      const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__")
      const end = Math.max(0, ...tensors.map(([, { data_offsets }]) => data_offsets?.[1] ?? Number.POSITIVE_INFINITY))
      return tensors.length > 0 && 8 + length + end === size
    }).pipe(Effect.scoped, Effect.mapError(fileError(method, weightsFile)))
    if (!isWhole) return yield* wrong(weightsFile, "is cut off, damaged or empty")

    for (const name of yield* Effect.mapError(fs.readDirectory(place), fileError(method, place))) {
      if (name !== configFile && name !== weightsFile) {
        yield* Effect.mapError(fs.remove(join(place, name), { recursive: true }), fileError(method, name))
      }
    }
  })
