import type * as Engine from "@effect-tinker/server/Engine"
import { init, makeJaxpr, numpy } from "@jax-js/jax"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { serverError } from "../util/errors.ts"
import {
  type Data,
  type Executable,
  type Executor,
  isData,
  type Program,
  sizeOf,
  type Spec,
  type Stored
} from "./executor.ts"
import * as lowering from "../onnx/lower.ts"

/** What is used of ONNX Runtime, declared here because the package may be absent. */
interface Runtime {
  readonly InferenceSession: {
    readonly create: (model: Uint8Array, options: object) => Promise<Session>
  }
  readonly Tensor: new (type: Spec["dtype"], data: Data, dims: ReadonlyArray<number>) => Tensor
}

interface Tensor {
  readonly data: unknown
}

interface Session {
  readonly inputNames: ReadonlyArray<string>
  readonly run: (
    feeds: Record<string, Tensor>,
    fetches: Record<string, Tensor | null>
  ) => Promise<{ readonly [name: string]: Tensor }>
  readonly release: () => Promise<void>
}

// compilers and bundlers must not look for it
const moduleName: string = "onnxruntime-node"

const load: Effect.Effect<Runtime, Engine.EngineError> = Effect.tryPromise({
  try: async () => {
    const loaded = (await import(/* @vite-ignore */ moduleName)) as Runtime & { readonly default?: Runtime }
    return loaded.default ?? loaded
  },
  catch: (cause) => serverError("onnxruntime-node could not be loaded: it is an optional dependency, and native", cause)
})

class StoredTensor implements Stored {
  readonly spec: Spec
  tensor: Tensor | undefined
  constructor(spec: Spec, tensor: Tensor) {
    this.spec = spec
    this.tensor = tensor
  }
  release(): void {
    this.tensor = undefined
  }
}

/** Traces a program with jax-js and lowers it. */
const compile = (program: Program): lowering.Lowered => {
  const names = Object.keys(program.inputs)
  const trace = (...arrays: Array<numpy.Array>) => [
    ...program.trace(Object.fromEntries(names.map((name, i) => [name, arrays[i]!])))
  ]
  const inputs = Object.values(program.inputs).map(({ dtype, shape }) =>
    numpy.zeros([...shape], { dtype: numpy[dtype] })
  )
  const { jaxpr: closed } = makeJaxpr(trace)(...inputs)
  for (const input of inputs) input.dispose()
  try {
    for (const constant of closed.consts) {
      const values = (constant as numpy.Array).ref.dataSync() as Data
      if (values.some((value) => value !== 0)) throw new TypeError("a program has a constant that is not 0")
    }
    return lowering.lower(closed.jaxpr, closed.consts.length, names)
  } finally {
    closed.dispose()
  }
}

/**
 * Runs programs with ONNX Runtime, on as many threads as asked for. Like a run in WebAssembly, a run blocks the event
 * loop: the bindings of ONNX Runtime compute on the thread that calls them.
 *
 * @internal
 */
export const make = (threads: number): Effect.Effect<Executor, Engine.EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* load
    yield* Effect.tryPromise({
      // jax-js traces, and makes its constants on some device
      try: () => init("wasm"),
      catch: (cause) => serverError("WebAssembly could not be started: tracing needs it", cause)
    })
    const options = {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      graphOptimizationLevel: "all",
      // errors alone, which also come as exceptions
      logSeverityLevel: 3
    }

    // sessions are neither made nor used side by side, so that none is released in the middle of a run
    const lock = yield* Effect.makeSemaphore(1)
    const compiled = new Map<string, { readonly executable: Executable; readonly session: Session }>()
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      lock.withPermits(1)(
        Effect.promise(async () => {
          isClosed = true
          for (const { session } of compiled.values()) await session.release()
          compiled.clear()
        })
      )
    )

    const attempt = <A>(what: string, work: () => Promise<A>): Effect.Effect<A, Engine.EngineError> =>
      // a run cannot be stopped: an interruption waits for it
      Effect.uninterruptible(
        Effect.tryPromise({
          try: () => (isClosed ? Promise.reject(new TypeError("the engine has been closed")) : work()),
          catch: (cause) => serverError(`the engine failed while it ${what}`, cause)
        })
      )

    const bind = (program: Program, session: Session, inputs: { readonly [name: string]: Data | Stored }) => {
      const feeds: Record<string, Tensor> = {}
      for (const name of session.inputNames) {
        const value = inputs[name]
        const spec = program.inputs[name]!
        if (value === undefined) throw new TypeError(`${program.key}: no input ${name}`)
        if (isData(value)) {
          if (value.length !== sizeOf(spec.shape)) {
            throw new TypeError(`${program.key}: ${name} has ${value.length} values for [${spec.shape.join(", ")}]`)
          }
          feeds[name] = new runtime.Tensor(spec.dtype, value, spec.shape)
        } else if (value instanceof StoredTensor && value.tensor !== undefined) {
          feeds[name] = value.tensor
        } else {
          throw new TypeError(`${program.key}: ${name} is not stored here`)
        }
      }
      return feeds
    }

    const build = (program: Program) =>
      attempt(`compiled ${program.key}`, async () => {
        const { model, outputs } = compile(program)
        const session = await runtime.InferenceSession.create(model, options)
        const executable: Executable = {
          run: (inputs, into) =>
            lock.withPermits(1)(
              attempt(`ran ${program.key}`, async () => {
                const fetches: Record<string, Tensor | null> = {}
                outputs.forEach((shape, i) => {
                  fetches[`out${i}`] = into === undefined ? null : new runtime.Tensor("float32", into[i]!, shape)
                })
                // starts in a turn of the event loop of its own
                const results = await session.run(bind(program, session, inputs), fetches)
                return outputs.map((_, i) => results[`out${i}`]!.data as Float32Array)
              })
            )
        }
        return { executable, session }
      })

    return {
      name: "native",
      // the data is not copied: it is the caller's no more
      store: (data, shape) =>
        Effect.sync(() => {
          const spec: Spec = { shape, dtype: data instanceof Float32Array ? "float32" : "int32" }
          return new StoredTensor(spec, new runtime.Tensor(spec.dtype, data, shape))
        }),
      compile: (program) =>
        lock.withPermits(1)(
          Effect.gen(function* () {
            const known = compiled.get(program.key)
            if (known !== undefined) return known.executable
            const fresh = yield* build(program)
            compiled.set(program.key, fresh)
            return fresh.executable
          }).pipe(Effect.uninterruptible)
        )
    }
  })
