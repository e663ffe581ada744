import type * as Engine from "@effect-tinker/server/Engine"
import { init, jit, numpy } from "@jax-js/jax"
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
import { macrotask } from "../util/macrotask.ts"

const device = "wasm"

class StoredArray implements Stored {
  readonly spec: Spec
  readonly array: numpy.Array
  readonly all: Set<Stored>
  constructor(spec: Spec, array: numpy.Array, all: Set<Stored>) {
    this.spec = spec
    this.array = array
    this.all = all
    all.add(this)
  }
  release(): void {
    if (this.all.delete(this)) this.array.dispose()
  }
}

const toArray = (data: Data, spec: Spec): numpy.Array =>
  numpy.array(data as Float32Array<ArrayBuffer>, { shape: [...spec.shape], dtype: numpy[spec.dtype], device })

const specOf = (data: Data, shape: ReadonlyArray<number>): Spec => ({
  shape,
  dtype: data instanceof Float32Array ? "float32" : "int32"
})

const bind = (program: Program, inputs: { readonly [name: string]: Data | Stored }): Array<numpy.Array> => {
  const bound: Array<numpy.Array> = []
  for (const [name, spec] of Object.entries(program.inputs)) {
    const value = inputs[name]
    if (value === undefined) throw new TypeError(`${program.key}: no input ${name}`)
    if (isData(value)) {
      if (value.length !== sizeOf(spec.shape)) {
        throw new TypeError(`${program.key}: ${name} has ${value.length} values for [${spec.shape.join(", ")}]`)
      }
      bound.push(toArray(value, spec))
    } else if (value instanceof StoredArray) {
      bound.push(value.array.ref)
    } else {
      throw new TypeError(`${program.key}: ${name} is not stored here`)
    }
  }
  return bound
}

/**
 * Runs programs in WebAssembly through jax-js: everywhere, on one thread. A run blocks the event loop until it is done,
 * so callers keep runs short and yield between them.
 *
 * @internal
 */
export const make: Effect.Effect<Executor, Engine.EngineError, Scope.Scope> = Effect.gen(function* () {
  yield* Effect.tryPromise({
    // without a name, init would look for a GPU through the browser's navigator
    try: async () => {
      if (!(await init(device)).includes(device)) throw new TypeError("there is no WebAssembly")
    },
    catch: (cause) => serverError("WebAssembly could not be started: the engine needs WebAssembly with SIMD", cause)
  })

  const compiled = new Map<string, { readonly executable: Executable; readonly dispose: () => void }>()
  const kept = new Set<Stored>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { dispose } of compiled.values()) dispose()
      compiled.clear()
      for (const stored of kept) stored.release()
    })
  )

  const failed = (what: string) => (cause: unknown) =>
    serverError(
      cause instanceof RangeError
        ? `the engine ran out of memory while it ${what}: send shorter inputs, or set maxTokensPerRun lower`
        : `the engine failed while it ${what}`,
      cause
    )

  const build = (program: Program): { readonly executable: Executable; readonly dispose: () => void } => {
    const names = Object.keys(program.inputs)
    const fn = jit((...arrays: Array<numpy.Array>) => [
      ...program.trace(Object.fromEntries(names.map((name, index) => [name, arrays[index]!])))
    ])
    const runNow = (inputs: { readonly [name: string]: Data | Stored }): ReadonlyArray<Float32Array> =>
      fn(...bind(program, inputs)).map((output) => output.dataSync() as Float32Array)
    return {
      executable: {
        run: (inputs, into) =>
          Effect.zipLeft(
            Effect.try({
              try: () => {
                const outputs = runNow(inputs)
                if (into === undefined) return outputs
                outputs.forEach((output, i) => into[i]!.set(output))
                return into
              },
              catch: failed(`ran ${program.key}`)
            }),
            macrotask
          )
      },
      dispose: () => fn.dispose()
    }
  }

  return {
    name: device,
    store: (data, shape) =>
      Effect.try({
        try: () => {
          const spec = specOf(data, shape)
          return new StoredArray(spec, toArray(data, spec), kept)
        },
        catch: failed("stored weights")
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
