import "fake-indexeddb/auto"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import * as BrowserFileSystem from "../src/BrowserFileSystem.ts"

let databases = 0

/** Files that no other test has. */
const fresh = () => BrowserFileSystem.layer(`test-${(databases += 1)}`)

const bytes = (text: string) => new TextEncoder().encode(text)

/** What a program of the property does to a tree; its paths are below a directory of its own. */
type Step = (fs: FileSystem.FileSystem, at: (path: string) => string) => Effect.Effect<unknown, unknown>

const read = (fs: FileSystem.FileSystem, path: string, from: number, length: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(path)
      yield* file.seek(from, "start")
      return Option.map(yield* file.readAlloc(length), (found) => [...found])
    })
  )

const writeAt = (fs: FileSystem.FileSystem, path: string, flag: FileSystem.OpenFlag, from: number, data: Uint8Array) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(path, { flag })
      yield* file.seek(from, "start")
      yield* file.writeAll(data)
      yield* file.sync
      return Number((yield* file.stat).size)
    })
  )

const path = fc.constantFrom("a", "b", "a/b", "a/c", "a/b/c", "b/a", "d")
const data = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  // more than a piece, so that the borders of pieces are met
  fc.nat(20).map((more) => new Uint8Array(2 ** 18 - 10 + more).fill(more + 1))
)
const position = fc.oneof(
  fc.nat(30),
  fc.nat(30).map((more) => 2 ** 18 - 15 + more)
)
const flag = fc.constantFrom<FileSystem.OpenFlag>("r+", "w", "wx", "w+", "a", "a+", "r")

const named = (name: string, step: Step) => [name, step] as const

const step = fc.oneof(
  fc
    .tuple(path, fc.boolean())
    .map(([path, recursive]) =>
      named(`makeDirectory ${path} ${recursive}`, (fs, at) => fs.makeDirectory(at(path), { recursive }))
    ),
  fc
    .tuple(path, data)
    .map(([path, data]) => named(`write ${path} ${data.length}`, (fs, at) => fs.writeFile(at(path), data))),
  fc
    .tuple(path, flag, position, data)
    .map(([path, flag, from, data]) =>
      named(`open ${path} ${flag}, write ${data.length} at ${from}`, (fs, at) =>
        writeAt(fs, at(path), flag, from, data)
      )
    ),
  fc
    .tuple(path, position, position)
    .map(([path, from, length]) =>
      named(`read ${path} ${from} ${length}`, (fs, at) => read(fs, at(path), from, length))
    ),
  fc
    .tuple(path, position)
    .map(([path, size]) => named(`truncate ${path} ${size}`, (fs, at) => fs.truncate(at(path), size))),
  fc.tuple(path, path).map(([from, to]) => named(`rename ${from} ${to}`, (fs, at) => fs.rename(at(from), at(to)))),
  fc.tuple(path, path).map(([from, to]) => named(`copyFile ${from} ${to}`, (fs, at) => fs.copyFile(at(from), at(to)))),
  fc
    .tuple(path, fc.boolean(), fc.boolean())
    .map(([path, recursive, force]) =>
      named(`remove ${path} ${recursive} ${force}`, (fs, at) => fs.remove(at(path), { recursive, force }))
    )
)

/** All that is in a tree: names, and the contents of files. */
const snapshot = (fs: FileSystem.FileSystem, root: string) =>
  Effect.gen(function* () {
    const names = (yield* fs.readDirectory(root, { recursive: true })).sort()
    return yield* Effect.forEach(names, (name) =>
      Effect.gen(function* () {
        const { size, type } = yield* fs.stat(`${root}/${name}`)
        if (type === "Directory") return [name, type] as const
        const content = yield* fs.readFile(`${root}/${name}`)
        return [name, Number(size), Buffer.from(content).toString("base64")] as const
      })
    )
  })

/** What each step did, and what is there in the end. */
const runSteps = (steps: ReadonlyArray<readonly [string, Step]>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const root = yield* fs.makeTempDirectoryScoped()
    const outcomes = yield* Effect.forEach(steps, ([name, step]) =>
      Effect.match(
        step(fs, (path) => `${root}/${path}`),
        {
          onFailure: () => [name, "failed"], // Node's makeDirectory also tells a path
          onSuccess: (value) => [name, typeof value === "string" ? "done" : (value ?? "done")]
        }
      )
    )
    return { outcomes, files: yield* snapshot(fs, root) }
  }).pipe(Effect.scoped)

describe("BrowserFileSystem", () => {
  it("does what the file system of Node does, for any sequence of operations", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const here = await Effect.runPromise(Effect.provide(runSteps(steps), fresh()))
        const there = await Effect.runPromise(Effect.provide(runSteps(steps), NodeFileSystem.layer))
        assert.deepStrictEqual(here, there)
      }),
      { numRuns: 40 }
    ))

  it.live("keeps files until they are opened again, and not those of another name", () =>
    Effect.gen(function* () {
      const [first, other] = [fresh(), fresh()]
      yield* Effect.provide(
        Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString("/kept", "text")),
        first
      )
      const readKept = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString("kept"))
      assert.strictEqual(yield* Effect.provide(readKept, first), "text")
      const error = yield* Effect.flip(Effect.provide(readKept, other))
      assert.include(error.message, "NotFound: FileSystem.readFile (kept)")
    })
  )

  it.live("leaves nothing of an operation that is interrupted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* fs.writeFileString("/file", "before")
      const fiber = yield* Effect.fork(fs.writeFile("/file", new Uint8Array(2 ** 24)))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.strictEqual(yield* fs.readFileString("/file"), "before")
    }).pipe(Effect.provide(fresh()))
  )

  it.scopedLive("appends at the end that another writer has made", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [one, other] = [yield* fs.open("/log", { flag: "a" }), yield* fs.open("/log", { flag: "a" })]
      for (const [i, file] of [one, other, one].entries()) yield* file.writeAll(bytes(`${i}`))
      assert.strictEqual(yield* fs.readFileString("/log"), "012")
    }).pipe(Effect.provide(fresh()))
  )

  it.live("says that links cannot be made", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const error = yield* Effect.flip(fs.symlink("/a", "/b"))
      assert.include(error.message, "no links")
    }).pipe(Effect.provide(fresh()))
  )
})
