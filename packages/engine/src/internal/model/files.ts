/** Reads the files of a Hugging Face model directory. */
import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { ModelConfig } from "../../ModelConfig.ts"
import * as architecture from "./architecture.ts"

/** Why a file or directory is invalid. @internal */
export class FileProblem {
  readonly _tag = "FileProblem"
  readonly path: string
  readonly reason: string
  readonly cause: unknown
  constructor(path: string, reason: string, cause?: unknown) {
    this.path = path
    this.reason = reason
    this.cause = cause
  }
}

const orUnreadable = <A, R>(
  effect: Effect.Effect<A, PlatformError, R>,
  path: string
): Effect.Effect<A, FileProblem, R> =>
  Effect.mapError(effect, (cause) => new FileProblem(path, "cannot be read", cause))

/** Parses a JSON file. @internal */
export const readJson = (path: string): Effect.Effect<unknown, FileProblem, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* orUnreadable(fs.readFileString(path), path)
    return yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new FileProblem(path, "is not JSON", cause)
    })
  })

/** Parses a JSON file, or returns `undefined` if there is none. @internal */
export const readOptionalJson = (path: string): Effect.Effect<unknown, FileProblem, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return (yield* orUnreadable(fs.exists(path), path)) ? yield* readJson(path) : undefined
  })

interface Tensors {
  readonly [name: string]: SafeTensors.Tensor
}

const readTensors = (path: string): Effect.Effect<Tensors, FileProblem, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const decoded = SafeTensors.decode(yield* orUnreadable(fs.readFile(path), path))
    return Either.isLeft(decoded)
      ? yield* Effect.fail(new FileProblem(path, decoded.left.message, decoded.left))
      : decoded.right.tensors
  })

const ShardIndex = Schema.Struct({ weight_map: Schema.Record({ key: Schema.String, value: Schema.String }) })

/** The shards that an index names. They must be files of the same directory. */
const shardFiles = (path: string, json: unknown): Effect.Effect<ReadonlyArray<string>, FileProblem> =>
  Effect.gen(function* () {
    const { weight_map } = yield* Schema.decodeUnknown(ShardIndex)(json).pipe(
      Effect.mapError((cause) => new FileProblem(path, "has no weight_map", cause))
    )
    const files = [...new Set(Object.values(weight_map))].sort()
    const foreign = files.find((file) => !/^[\w.-]+\.safetensors$/.test(file))
    return foreign === undefined
      ? files
      : yield* Effect.fail(
          new FileProblem(path, `names the shard ${JSON.stringify(foreign)}, which is not a safetensors file beside it`)
        )
  })

/** Why the tensors of a model are invalid, or `undefined`. */
const tensorsProblem = (tensors: Tensors, config: ModelConfig): string | undefined => {
  for (const [name, shape] of architecture.expectedWeights(config)) {
    const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined
    if (tensor === undefined) return `has no weight ${name}`
    if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
      return `has ${name} in the shape [${tensor.shape.join(", ")}], but config.json asks for [${shape.join(", ")}]`
    }
  }
  const known = new Set(architecture.biases(config).map(([name]) => name))
  const bias = Object.keys(tensors).find((name) => name.endsWith(".bias") && !known.has(name))
  return bias === undefined ? undefined : `has ${bias}: such biases are not supported`
}

/** The files with the weights of a directory. @internal */
export const shardsOf = (
  directory: string
): Effect.Effect<ReadonlyArray<string>, FileProblem, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const indexPath = join(directory, "model.safetensors.index.json")
    const index = yield* readOptionalJson(indexPath)
    return index === undefined ? ["model.safetensors"] : yield* shardFiles(indexPath, index)
  })

const shift = ({ data, shape }: SafeTensors.Tensor, offset: number): SafeTensors.Tensor => ({
  shape,
  data: data.map((value) => value + offset)
})

/**
 * Reads the weights of a model, from `model.safetensors` or from the shards that `model.safetensors.index.json` names.
 * Checks that each weight of the configuration exists with the right shape; other tensors are dropped.
 *
 * @internal
 */
export const readWeights = (
  directory: string,
  config: ModelConfig
): Effect.Effect<Tensors, FileProblem, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const shards = yield* Effect.forEach(yield* shardsOf(directory), (file) => readTensors(join(directory, file)))
    const tensors: Tensors = Object.assign({}, ...shards)
    const problem = tensorsProblem(tensors, config)
    if (problem !== undefined) return yield* Effect.fail(new FileProblem(directory, problem))
    const norms = config.norm_offset === 0 ? [] : architecture.norms(config)
    const shifted = norms.map(([name]) => [name, shift(tensors[name]!, config.norm_offset)] as const)
    const expected = architecture.expectedWeights(config).map(([name]) => [name, tensors[name]!] as const)
    return Object.fromEntries([...expected, ...shifted])
  })
