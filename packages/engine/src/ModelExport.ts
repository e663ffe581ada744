/**
 * Merges an adapter into its base model, and writes the result for other programs: as a directory that transformers and vLLM
 * open, or as a GGUF file for llama.cpp, Ollama and LM Studio, both with the tokenizer and the chat template.
 *
 * ```ts
 * yield* ModelExport.toGguf({ base: "Qwen3-0.6B", adapter: "my-adapter", out: "my-model.gguf", type: "q8_0" })
 * ```
 *
 * The adapter is a directory of PEFT's, such as `CheckpointDownload.exportPeft` makes of a checkpoint of any service. Weights
 * are read, merged and written a few million values at a time. What is written appears in one step, once it is complete.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as adapters from "./internal/export/adapter.ts"
import * as place from "./internal/export/place.ts"
import * as source from "./internal/export/source.ts"
import * as directories from "./internal/export/toDirectory.ts"
import * as gguf from "./internal/export/toGguf.ts"
import * as architecture from "./internal/model/architecture.ts"
import type { FileProblem } from "./internal/model/files.ts"
import * as ModelDirectory from "./ModelDirectory.ts"

/**
 * What is merged, and where it goes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the base model: a directory, or a GGUF file */
  readonly base: string
  /** a directory with `adapter_config.json` and `adapter_model.safetensors` */
  readonly adapter: string
  /** where the result goes; missing parents are created */
  readonly out: string
  /** replaces what is at `out`; otherwise that fails before anything is read */
  readonly replace?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface GgufOptions extends Options {
  /**
   * how matrices are stored: in half precision, or in blocks of 32 values of 8 bits with a scale (Q8_0), which is half as large;
   * `f16` by default. Vectors are in float32
   */
  readonly type?: gguf.GgufType | undefined
}

type Environment = FileSystem.FileSystem | Path.Path

type Result = Effect.Effect<void, ModelDirectory.ModelDirectoryError, Environment>

const toError = ({ cause, path, reason }: FileProblem) =>
  new ModelDirectory.ModelDirectoryError({ path, reason, ...(cause === undefined ? {} : { cause }) })

interface Opened {
  readonly base: ModelDirectory.ModelDirectory
  readonly source: source.Source
  readonly adapter: adapters.Adapter
}

/** Opens the model and its adapter, and lets `write` fill a place beside `out`. */
const exportWith = <R>(
  { adapter, base: path, out, replace = false }: Options,
  write: (opened: Opened, target: string, out: string) => Effect.Effect<void, FileProblem, R>
) =>
  Effect.gen(function* () {
    const { resolve } = yield* Path.Path
    return yield* place
      .build(resolve(out), replace, (target) =>
        Effect.gen(function* () {
          const base = yield* ModelDirectory.open(path)
          const opened = yield* Effect.all({
            adapter: adapters.read(adapter, base.config),
            source: source.open(base, architecture.expectedWeights(base.config))
          })
          yield* write({ base, ...opened }, target, resolve(out))
        })
      )
      .pipe(
        Effect.scoped,
        Effect.mapError((error) => (error._tag === "FileProblem" ? toError(error) : error))
      )
  })

/**
 * Writes a directory with `config.json`, the tokenizer, the chat template and the weights in safetensors files, in the
 * precision of the base model; matrices in few bits become F16. An adapter of an unembedding that shares its weights with the
 * embedding makes it a matrix of its own.
 *
 * Fails if the adapter does not fit the base model, or if `out` exists.
 *
 * @since 0.1.0
 * @category exports
 */
export const toDirectory = (options: Options): Result =>
  exportWith(options, (opened, target, out) =>
    Effect.flatMap(FileSystem.FileSystem, (fs) =>
      Effect.orDie(fs.makeDirectory(target)).pipe(Effect.andThen(directories.write({ ...opened, target, shown: out })))
    )
  ).pipe(Effect.withSpan("ModelExport.toDirectory"))

/**
 * Writes a GGUF file with the tokenizer and the chat template in its metadata.
 *
 * Fails, with every reason, for a model or a tokenizer that llama.cpp would compute in another way than this engine: for
 * tokenizers other than byte-level BPE whose splitting it knows, sliding windows that it ignores, and rotary embeddings that it
 * lacks.
 *
 * @since 0.1.0
 * @category exports
 */
export const toGguf = (options: GgufOptions): Result =>
  Effect.flatMap(Path.Path, ({ basename }) =>
    exportWith(options, (opened, target, out) =>
      gguf.write({ ...opened, name: basename(out, ".gguf"), type: options.type ?? "f16", target, shown: out })
    )
  ).pipe(Effect.withSpan("ModelExport.toGguf"))
