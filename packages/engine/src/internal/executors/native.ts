/** The executor on ONNX Runtime. It needs the optional package `onnxruntime-node`, and so Node, Bun or Deno. */
import type * as Engine from "@effect-tinker/server/Engine"
import { init, makeJaxpr, numpy } from "@jax-js/jax"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as onnxruntime from "onnxruntime-node"
import { type Lock, makeLock } from "../effect/runtime.ts"
import { constantsOf } from "../onnx/emit/quantized.ts"
import type { External } from "../onnx/graph.ts"
import * as lowering from "../onnx/lower.ts"
import { serverError } from "../util/errors.ts"
import type {
  Executable,
  Executor,
  Inputs,
  Marker,
  Program,
  StoredTensor,
  TensorSpec,
  TensorValues
} from "./executor.ts"
import { isPacked, type PackedValues, WidenedValues } from "./packed.ts"
import { bindInput, positionalTrace, specOf } from "./program.ts"
import * as programCache from "./programCache.ts"
import type { Entry } from "./programFile.ts"

type OnnxRuntime = Pick<typeof onnxruntime, "InferenceSession" | "Tensor" | "env">

const loadOnnxRuntime: Effect.Effect<OnnxRuntime, Engine.EngineError> = Effect.tryPromise({
  try: async () => {
    const loaded: OnnxRuntime & { readonly default?: OnnxRuntime } = await import("onnxruntime-node")
    return loaded.default ?? loaded
  },
  catch: (cause) =>
    serverError(
      "the optional package onnxruntime-node cannot be loaded: npm install onnxruntime-node@1.30.0 --ignore-scripts",
      cause
    )
})

/** Initializes jax-js, which traces programs and makes their constants on its WebAssembly device. */
const initTracing: Effect.Effect<unknown, Engine.EngineError> = Effect.tryPromise({
  try: () => init("wasm"),
  catch: (cause) => serverError("WebAssembly cannot be started: jax-js needs it to trace programs", cause)
})

class NativeTensor implements StoredTensor {
  readonly spec: TensorSpec
  /** packed values are widened for each run */
  tensor: onnxruntime.Tensor | PackedValues | undefined
  constructor(spec: TensorSpec, tensor: onnxruntime.Tensor | PackedValues) {
    this.spec = spec
    this.tensor = tensor
  }
  release(): void {
    this.tensor = undefined
  }
}

/** What ONNX Runtime takes of a stored tensor; `undefined` if it was released. */
const boundTensor = ({ runtime, widened }: Context, { spec, tensor }: NativeTensor): onnxruntime.Tensor | undefined =>
  tensor !== undefined && isPacked(tensor) ? new runtime.Tensor(spec.dtype, widened.of(tensor), spec.shape) : tensor

/** Traces a program with jax-js and lowers it to an ONNX model. */
const lowerProgram = (program: Program, markers: ReadonlyArray<Marker>): lowering.Lowered => {
  const inputs = Object.values(program.inputs).map(({ dtype, shape }) =>
    numpy.zeros([...shape], { dtype: numpy[dtype] })
  )
  const { jaxpr: closed } = makeJaxpr(positionalTrace(program))(...inputs)
  for (const input of inputs) input.dispose()
  const typical = markers.map(({ marker, size, typical = size }) => ({ marker, typical }))
  try {
    for (const constant of closed.consts) {
      const values = (constant as numpy.Array).ref.dataSync() as TensorValues
      if (values.some((value) => value !== 0)) {
        throw new TypeError(`${program.key}: only constants of zeros can be lowered to ONNX`)
      }
    }
    const names = Object.keys(program.inputs)
    return lowering.lower(closed.jaxpr, closed.consts.length, names, typical, program.quantized?.matrices)
  } finally {
    closed.dispose()
  }
}

/** A session, which serves the programs of a family. */
interface Compiled {
  readonly session: onnxruntime.Session
  /** of the outputs; with the markers of the family */
  readonly shapes: ReadonlyArray<ReadonlyArray<number>>
}

interface Context {
  readonly runtime: OnnxRuntime
  readonly sessionOptions: object
  /** held while a session is created, runs or is released, so that none is released during a run */
  readonly lock: Lock
  readonly compiled: Map<string, Compiled>
  readonly widened: WidenedValues
  readonly cache: programCache.ProgramCache
  isClosed: boolean
}

const sessionOptions = (threads: number) => ({
  executionProviders: ["cpu"],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: "sequential",
  graphOptimizationLevel: "all",
  // only errors, which are also thrown
  logSeverityLevel: 3
})

/** Runs work that cannot be stopped: an interruption waits until it is done. */
const attempt = <A>(context: Context, action: string, work: () => Promise<A>): Effect.Effect<A, Engine.EngineError> =>
  Effect.uninterruptible(
    Effect.tryPromise({
      try: () => (context.isClosed ? Promise.reject(new TypeError("the engine has been closed")) : work()),
      catch: (cause) => serverError(`the native executor failed to ${action}`, cause)
    })
  )

const bindInputs = (
  context: Context,
  program: Program,
  session: onnxruntime.Session,
  inputs: Inputs
): Record<string, onnxruntime.Tensor> => {
  const feeds: Record<string, onnxruntime.Tensor> = {}
  context.widened.begin()
  for (const name of session.inputNames) {
    feeds[name] = bindInput(
      program,
      name,
      inputs,
      (values, spec) => new context.runtime.Tensor(spec.dtype, values, spec.shape),
      (stored) => (stored instanceof NativeTensor ? boundTensor(context, stored) : undefined)
    )
  }
  return feeds
}

const runSession = async (
  context: Context,
  program: Program,
  session: onnxruntime.Session,
  shapes: ReadonlyArray<ReadonlyArray<number>>,
  inputs: Inputs,
  outputs: ReadonlyArray<Float32Array> | undefined
): Promise<ReadonlyArray<Float32Array>> => {
  const fetches: Record<string, onnxruntime.Tensor | null> = {}
  shapes.forEach((shape, i) => {
    fetches[`out${i}`] = outputs === undefined ? null : new context.runtime.Tensor("float32", outputs[i]!, shape)
  })
  // ONNX Runtime starts a run in a new turn of the event loop, which yields to timers and I/O
  const results = await session.run(bindInputs(context, program, session, inputs), fetches)
  return shapes.map((_, i) => results[`out${i}`]!.data as Float32Array)
}

const createSession = (context: Context, model: Uint8Array, external: ReadonlyArray<External>, options: object) =>
  context.runtime.InferenceSession.create(model, {
    ...context.sessionOptions,
    ...options,
    ...(external.length === 0 ? {} : { externalData: external })
  })

/** All that a lowered program depends on besides this code. */
const cacheKey = ({ runtime }: Context, { inputs, key, quantized }: Program, sizes: ReadonlyArray<Marker>): string => {
  const markers = sizes.map(({ marker, size, typical = size }) => [marker, typical])
  const matrices = Object.entries(quantized?.matrices ?? {}).map(([name, { bits, columns, middles, rows }]) => {
    const hasMiddles = middles !== undefined
    return { name, bits, rows, columns, hasMiddles }
  })
  return JSON.stringify([runtime.env.versions, key, Object.entries(inputs), markers, matrices])
}

/** The session of a program that was lowered before; `undefined` if it cannot be used. */
const restore = (context: Context, program: Program, entry: Entry) => {
  const constants = constantsOf(program.quantized?.matrices ?? {})
  const external = entry.external.flatMap((path) => {
    const data = constants.get(path)
    return data === undefined ? [] : [{ path, data }]
  })
  const options = entry.isOptimized ? { graphOptimizationLevel: "disabled" } : {}
  return attempt(context, `restore ${program.key}`, async (): Promise<Compiled> => {
    if (external.length < entry.external.length) throw new TypeError("constants are missing")
    return { session: await createSession(context, entry.model, external, options), shapes: entry.outputs }
  }).pipe(Effect.orElseSucceed(() => undefined))
}

/** Lowers a program, and keeps it. ONNX Runtime would write constants with it, so that it is optimized anew if it has some. */
const lowerAndKeep = (context: Context, program: Program, sizes: ReadonlyArray<Marker>, key: string) =>
  Effect.gen(function* () {
    const lowered = yield* attempt(context, `lower ${program.key}`, async () => lowerProgram(program, sizes))
    const { external, model, outputs } = lowered
    const create = (file: string | undefined) =>
      attempt(context, `compile ${program.key}`, () =>
        createSession(context, model, external, file === undefined ? {} : { optimizedModelFilePath: file })
      )
    const [session, optimized] =
      external.length > 0
        ? [yield* create(undefined), undefined]
        : yield* Effect.orElse(context.cache.written(create), () =>
            Effect.map(create(undefined), (session) => [session, undefined] as const)
          )
    const paths = external.map(({ path }) => path)
    const isOptimized = optimized !== undefined
    yield* context.cache.write(key, { model: optimized ?? model, isOptimized, outputs, external: paths })
    return { session, shapes: outputs } satisfies Compiled
  })

const build = (context: Context, program: Program): Effect.Effect<Compiled, Engine.EngineError> =>
  Effect.gen(function* () {
    const { generic, sizes } = program.family ?? { generic: program, sizes: [] }
    const key = cacheKey(context, generic, sizes)
    const entry = yield* context.cache.read(key)
    const restored = entry === undefined ? undefined : yield* restore(context, generic, entry)
    return restored ?? (yield* lowerAndKeep(context, generic, sizes, key))
  })

/** A shape with the sizes in the place of their markers. A size may itself be the marker of another one. */
const substitute = (shape: ReadonlyArray<number>, markers: ReadonlyArray<Marker>): ReadonlyArray<number> =>
  shape.map((marked) =>
    markers
      .filter(({ marker }) => marked % marker === 0)
      .reduce((product, { marker, size }) => (product / marker) * size, marked)
  )

const executableOf = (context: Context, program: Program, { session, shapes }: Compiled): Executable => {
  const own = shapes.map((shape) => substitute(shape, program.family?.sizes ?? []))
  return {
    run: (inputs, outputs) =>
      context.lock.withLock(
        attempt(context, `run ${program.key}`, () => runSession(context, program, session, own, inputs, outputs))
      )
  }
}

const compile = (context: Context, program: Program): Effect.Effect<Executable, Engine.EngineError> =>
  Effect.gen(function* () {
    const key = program.family?.generic.key ?? program.key
    const known = context.compiled.get(key)
    if (known !== undefined) return executableOf(context, program, known)
    const fresh = yield* build(context, program)
    context.compiled.set(key, fresh)
    return executableOf(context, program, fresh)
  }).pipe(Effect.uninterruptible, context.lock.withLock)

const close = (context: Context): Effect.Effect<void> =>
  context.lock.withLock(
    Effect.promise(async () => {
      context.isClosed = true
      for (const { session } of context.compiled.values()) await session.release()
      context.compiled.clear()
    })
  )

/**
 * Runs programs with ONNX Runtime, on the given number of threads, those that the cache has without lowering them. As in WebAssembly, a run blocks the event loop: the
 * bindings of ONNX Runtime compute on the calling thread.
 *
 * @internal
 */
export const make = (
  threads: number,
  cache: programCache.ProgramCache = programCache.none
): Effect.Effect<Executor, Engine.EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* loadOnnxRuntime
    yield* initTracing
    const context: Context = {
      runtime,
      sessionOptions: sessionOptions(threads),
      lock: yield* makeLock,
      compiled: new Map(),
      widened: new WidenedValues(),
      cache,
      isClosed: false
    }
    yield* Effect.addFinalizer(() => close(context))
    return {
      name: "native",
      widensInRuns: true,
      takesQuantized: true,
      compilesFamilies: true,
      store: (values, shape) =>
        Effect.sync(() => {
          if (isPacked(values)) return new NativeTensor({ shape, dtype: "float32" }, values)
          const spec = specOf(values, shape)
          return new NativeTensor(spec, new runtime.Tensor(spec.dtype, values, shape))
        }),
      compile: (program) => compile(context, program)
    }
  })
