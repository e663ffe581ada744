import { assert, describe, it } from "@effect/vitest"
import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { numpy as np } from "@jax-js/jax"
import * as executors from "../../../src/internal/executors/choose.ts"
import type { Program } from "../../../src/internal/executors/executor.ts"
import * as programCache from "../../../src/internal/executors/programCache.ts"

/** A program that counts how often it is traced. */
const counted = (key: string) => {
  const state = { traces: 0 }
  const program: Program = {
    key,
    inputs: { x: { shape: [3], dtype: "float32" }, y: { shape: [3], dtype: "float32" } },
    trace: ({ x, y }) => {
      state.traces++
      return [np.exp(x!.mul(y!)).add(1)]
    }
  }
  return { program, state }
}

const inputs = { x: Float32Array.of(0.1, 0.2, 0.3), y: Float32Array.of(3, 2, 1) }

/** The result of a program in an engine of its own, with a cache. */
const run = (program: Program, directory: string, limit?: number) =>
  Effect.gen(function* () {
    const { executor } = yield* executors.make("native", 1, yield* programCache.make(directory, "machine", limit))
    const { run } = yield* executor.compile(program)
    return (yield* run(inputs))[0]!
  }).pipe(Effect.scoped)

const inDirectory = <A, E>(
  use: (
    directory: string,
    fs: FileSystem.FileSystem
  ) => Effect.Effect<A, E, FileSystem.FileSystem | NodeContext.NodeContext>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(`${yield* fs.makeTempDirectoryScoped()}/programs`, fs)
  }).pipe(Effect.provide(NodeContext.layer))

describe("Programs on disk", () => {
  it.scoped("are not traced again, give equal bits, and are for their user alone", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        const { program, state } = counted("a")
        const first = yield* run(program, directory)
        assert.strictEqual(state.traces, 1)
        assert.deepStrictEqual(yield* run(program, directory), first)
        assert.strictEqual(state.traces, 1)
        const names = yield* fs.readDirectory(directory)
        assert.lengthOf(names, 1)
        assert.strictEqual((yield* fs.stat(directory)).mode & 0o777, 0o700)
        assert.strictEqual((yield* fs.stat(`${directory}/${names[0]!}`)).mode & 0o777, 0o600)
      })
    )
  )

  it.scoped("are other ones for other keys and shapes", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const first = counted("a")
        yield* run(first.program, directory)
        for (const other of [counted("b"), counted("a")]) {
          const changed = { ...other.program, inputs: { ...other.program.inputs, y: { shape: [1, 3], dtype: "float32" } } } as const // prettier-ignore
          yield* run(changed, directory)
          assert.strictEqual(other.state.traces, 1)
        }
      })
    )
  )

  it.scoped("are written again where a file is damaged", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        const { program, state } = counted("a")
        const expected = yield* run(program, directory)
        const file = `${directory}/${(yield* fs.readDirectory(directory))[0]!}`
        const intact = yield* fs.readFile(file)
        const flipped = Uint8Array.from(intact, (byte, i) => (i === intact.length - 20 ? byte ^ 1 : byte))
        for (const damaged of [intact.subarray(0, 10), intact.subarray(0, 100), flipped]) {
          yield* fs.writeFile(file, damaged)
          const before = state.traces
          assert.deepStrictEqual(yield* run(program, directory), expected)
          assert.strictEqual(state.traces, before + 1)
          assert.deepStrictEqual(yield* fs.readFile(file), intact)
        }
      })
    )
  )

  it.scoped("are not read from a directory that others may write to", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        const { program, state } = counted("a")
        yield* run(program, directory)
        yield* fs.chmod(directory, 0o777)
        yield* run(program, directory)
        assert.strictEqual(state.traces, 2)
      })
    )
  )

  it.scoped("take no more than they may: the oldest go", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        yield* run(counted("a").program, directory)
        const [oldest] = yield* fs.readDirectory(directory)
        const { size } = yield* fs.stat(`${directory}/${oldest!}`)
        yield* fs.utimes(`${directory}/${oldest!}`, 1, 1)
        const limit = Math.floor(2.5 * Number(size))
        yield* run(counted("b").program, directory, limit)
        yield* run(counted("c").program, directory, limit)
        const left = yield* fs.readDirectory(directory)
        assert.lengthOf(left, 2)
        assert.notInclude(left, oldest)
      })
    )
  )

  it.scoped("are done without where the directory cannot be made", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        yield* fs.writeFileString(directory, "a file")
        const { program, state } = counted("a")
        assert.lengthOf(yield* run(program, directory), 3)
        assert.strictEqual(state.traces, 1)
      })
    )
  )
})
