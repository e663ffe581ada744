/** The executor on the WebAssembly kernels of jax-js. It runs everywhere, on one thread. */
import type * as Engine from "@effect-tinker/server/Engine"
import { init, jit, numpy } from "@jax-js/jax"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { serverError } from "../util/errors.ts"
import { yieldToEventLoop } from "../util/macrotask.ts"
import type { Executable, Executor, Inputs, Program, StoredTensor, TensorSpec, TensorValues } from "./executor.ts"
import { isPacked, widen } from "./packed.ts"
import { bindInput, positionalTrace, specOf } from "./program.ts"

const device = "wasm"

class WasmTensor implements StoredTensor {
  readonly spec: TensorSpec
  readonly array: numpy.Array
  readonly registry: Set<StoredTensor>
  constructor(spec: TensorSpec, array: numpy.Array, registry: Set<StoredTensor>) {
    this.spec = spec
    this.array = array
    this.registry = registry
    registry.add(this)
  }
  release(): void {
    if (this.registry.delete(this)) this.array.dispose()
  }
}

const toArray = (values: TensorValues, spec: TensorSpec): numpy.Array =>
  numpy.array(values as Float32Array<ArrayBuffer>, { shape: [...spec.shape], dtype: numpy[spec.dtype], device })

const bindInputs = (program: Program, inputs: Inputs): Array<numpy.Array> =>
  Object.keys(program.inputs).map((name) =>
    bindInput(program, name, inputs, toArray, (stored) => (stored instanceof WasmTensor ? stored.array.ref : undefined))
  )

const failure =
  (action: string) =>
  (cause: unknown): Engine.EngineError =>
    serverError(
      cause instanceof RangeError
        ? `the wasm executor ran out of memory when it had to ${action}: send shorter inputs or lower maxTokensPerRun`
        : `the wasm executor failed to ${action}`,
      cause
    )

interface Compiled {
  readonly executable: Executable
  readonly dispose: () => void
}

const build = (program: Program): Compiled => {
  const compiled = jit(positionalTrace(program))
  const runNow = (inputs: Inputs, into: ReadonlyArray<Float32Array> | undefined): ReadonlyArray<Float32Array> => {
    const outputs = compiled(...bindInputs(program, inputs)).map((output) => output.dataSync() as Float32Array)
    if (into === undefined) return outputs
    outputs.forEach((output, i) => into[i]!.set(output))
    return into
  }
  return {
    executable: {
      run: (inputs, into) =>
        Effect.tap(
          Effect.try({ try: () => runNow(inputs, into), catch: failure(`run ${program.key}`) }),
          () => yieldToEventLoop
        )
    },
    dispose: () => compiled.dispose()
  }
}

const initDevice: Effect.Effect<void, Engine.EngineError> = Effect.tryPromise({
  // without a name, init would look for a GPU
  try: async () => {
    if (!(await init(device)).includes(device)) throw new TypeError("WebAssembly is not available")
  },
  catch: (cause) => serverError("WebAssembly cannot be started: the engine needs WebAssembly with SIMD", cause)
})

/**
 * Runs programs with jax-js. A run blocks the event loop until it is done, so callers keep runs short. Compiled
 * programs and stored tensors are released when the scope closes.
 *
 * @internal
 */
export const make: Effect.Effect<Executor, Engine.EngineError, Scope.Scope> = Effect.gen(function* () {
  yield* initDevice
  const compiled = new Map<string, Compiled>()
  const stored = new Set<StoredTensor>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { dispose } of compiled.values()) dispose()
      compiled.clear()
      for (const tensor of stored) tensor.release()
    })
  )
  return {
    name: device,
    widensInRuns: false,
    takesQuantized: false,
    compilesFamilies: false,
    store: (given, shape) =>
      Effect.try({
        try: () => {
          const values = isPacked(given) ? widen(given) : given
          const spec = specOf(values, shape)
          return new WasmTensor(spec, toArray(values, spec), stored)
        },
        catch: failure("store a tensor")
      }),
    compile: (program) =>
      Effect.sync(() => {
        const known = compiled.get(program.key)
        if (known !== undefined) return known.executable
        const fresh = build(program)
        compiled.set(program.key, fresh)
        return fresh.executable
      })
  }
})
