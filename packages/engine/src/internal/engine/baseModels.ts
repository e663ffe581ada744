/** The base models of an engine: opened at the start, loaded when they are first used. */
import type * as Engine from "@effect-tinker/server/Engine"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ModelDirectory from "../../ModelDirectory.ts"
import type { Executor } from "../executors/executor.ts"
import * as budget from "../model/budget.ts"
import * as loaded from "../model/loaded.ts"
import { serverError, userError } from "../util/errors.ts"
import * as startMemory from "./startMemory.ts"

interface BaseModel {
  readonly info: Engine.BaseModel
  readonly memory: budget.ModelMemory
  /** loads the weights once, however often it runs */
  readonly load: Effect.Effect<loaded.LoadedModel, Engine.EngineError>
}

/** Base models by name. @internal */
export type BaseModels = ReadonlyMap<string, BaseModel>

/** A model and the directory that it is in. */
interface Source {
  readonly name: string
  readonly directory: string
  readonly tokenizer_id?: string | undefined
}

/** The weights in few bits, if samples are to be computed by them. */
const readQuantized = (
  name: string,
  directory: ModelDirectory.ModelDirectory,
  executor: Executor,
  { quantizedSampling }: budget.Options
) =>
  quantizedSampling === true && executor.takesQuantized
    ? ModelDirectory.quantizedWeights(directory).pipe(
        Effect.mapBoth({
          onSuccess: (matrices) => (matrices === undefined ? undefined : { key: `few-bits:${name}`, matrices }),
          onFailure: (cause) => serverError(`the base model ${name} cannot be loaded: ${cause.message}`, cause)
        })
      )
    : Effect.succeed(undefined)

const orServerError = <A, R>(name: string, read: Effect.Effect<A, ModelDirectory.ModelDirectoryError, R>) =>
  Effect.mapError(read, (cause) => serverError(`the base model ${name} cannot be loaded: ${cause.message}`, cause))

const loadModel = (
  name: string,
  directory: ModelDirectory.ModelDirectory,
  executor: Executor,
  options: budget.Options
): Effect.Effect<loaded.LoadedModel, Engine.EngineError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const isSmall = !budget.keepsPacked(directory.config, executor, options)
    const packed = isSmall ? undefined : yield* orServerError(name, ModelDirectory.packedWeights(directory))
    const weights = packed ?? (yield* orServerError(name, ModelDirectory.weights(directory)))
    const quantized = yield* readQuantized(name, directory, executor, options)
    return yield* loaded.load(name, directory, weights, executor, options, quantized)
  })

interface Options extends budget.Options {
  readonly localTokenizers?: boolean | undefined
}

const openOne = (
  { directory, name, tokenizer_id: given }: Source,
  executor: Executor,
  { localTokenizers, ...options }: Options
): Effect.Effect<BaseModel, ModelDirectory.ModelDirectoryError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const path = yield* Path.Path
    const tokenizer_id = given ?? (localTokenizers === true ? path.resolve(directory) : undefined)
    const opened = yield* ModelDirectory.open(directory)
    const load = Effect.provide(loadModel(name, opened, executor, options), context)
    const memory = budget.make(name, opened.config, executor, options, {
      hasFewBits: opened.gguf !== undefined,
      packedBytes: budget.keepsPacked(opened.config, executor, options)
        ? yield* ModelDirectory.packedBytes(opened)
        : undefined
    })
    return {
      memory,
      info: {
        model_name: name,
        max_context_length: opened.config.max_context_length,
        arch: opened.config.model_type,
        vocab_size: opened.config.vocab_size,
        ...(tokenizer_id === undefined ? {} : { tokenizer_id })
      },
      // uninterruptible, since an interruption would be cached as the result
      load: yield* Effect.cached(Effect.uninterruptible(load))
    }
  })

/**
 * Reads configurations and tokenizers. If two sources have the same name, the later one is used. A model that cannot be
 * run does not take the others along: it is left out, with an error in the log. Fails if none of those given can be run.
 *
 * @internal
 */
export const open = (
  shipped: ReadonlyArray<Source>,
  given: ReadonlyArray<Source>,
  executor: Executor,
  options: Options
): Effect.Effect<BaseModels, ModelDirectory.ModelDirectoryError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const models = new Map<string, BaseModel>()
    const failures: Array<ModelDirectory.ModelDirectoryError> = []
    for (const source of shipped) models.set(source.name, yield* openOne(source, executor, options))
    for (const source of given) {
      const opened = yield* Effect.either(openOne(source, executor, options))
      if (Either.isLeft(opened)) {
        failures.push(opened.left)
        continue
      }
      const { memory } = opened.right
      const reason = startMemory.problem(memory)
      if (reason !== undefined) {
        failures.push(new ModelDirectory.ModelDirectoryError({ path: source.directory, reason }))
        continue
      }
      models.set(source.name, opened.right)
      yield* Effect.logInfo(startMemory.describe(memory))
    }
    const [first, ...others] = failures
    if (first === undefined) return models
    if (failures.length === given.length) {
      const reason = [first.reason, ...others.map(({ message }) => message)].join("; ")
      return yield* new ModelDirectory.ModelDirectoryError({ path: first.path, reason })
    }
    yield* Effect.forEach(failures, ({ message }) => Effect.logError(`a model is left out: ${message}`))
    return models
  })

/** Loads a base model by name. @internal */
export const load = (models: BaseModels, name: string): Effect.Effect<loaded.LoadedModel, Engine.EngineError> =>
  models.get(name)?.load ??
  Effect.fail(userError(`the base model ${name} is not available: available are ${[...models.keys()].join(", ")}`))
