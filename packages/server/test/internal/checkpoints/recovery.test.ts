import { withWarnings } from "@effect-tinker/testing/Logs"
import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Store from "../../../src/Store.ts"
import * as shared from "../../utils/sharedDirectory.ts"

const { adapterOf, path, text } = shared

const ended = "00000000-0000-7000-8000-000000000000"
const upload = (id: string): Store.UploadRow => ({ id, limits: {} }) as never

/** A directory with the checkpoint `one`, whose process has ended, and its revision. */
const saved = Effect.gen(function* () {
  const all = yield* shared.make
  const first = yield* all.open()
  const { revision } = yield* first.checkpoints.save({ path, adapter: adapterOf(1) })
  yield* first.end
  const write = (name: string, content: string) =>
    Effect.gen(function* () {
      const file = `${all.directory}/${name}`
      yield* all.fs.makeDirectory(file.slice(0, file.lastIndexOf("/")), { recursive: true })
      yield* all.fs.writeFileString(file, content)
    })
  return { ...all, revision: revision!, write }
})

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.scoped, Effect.provide(NodeContext.layer))

describe("a process that starts", () => {
  it.effect("removes the drafts of processes that ended, and no others", () =>
    Effect.gen(function* () {
      const { below, open, records, write } = yield* saved
      const other = yield* records
      const running = `.draft-${other.store.instance}.abc`
      for (const draft of [`.draft-${ended}.abc`, ".draft-abc", `.draft-x${other.store.instance}.abc`, running]) {
        yield* write(`${draft}/new/checkpoint.json`, "{}")
      }
      yield* write("notes/mine.txt", "x")
      yield* open()
      const left = (yield* below()).filter((name) => !name.includes("/"))
      assert.deepStrictEqual(left, [running, "notes", "s%3Atrain%3A0"])
    }).pipe(scoped)
  )

  it.effect("moves a checkpoint back that was about to be replaced, unless its replacement is in place", () =>
    Effect.gen(function* () {
      const { below, directory, fs, open, place } = yield* saved
      const old = `${directory}/.draft-${ended}.abc/old`
      yield* fs.makeDirectory(`${directory}/.draft-${ended}.abc`)
      yield* fs.rename(place, old)
      const { checkpoints, end } = yield* open()
      assert.strictEqual(shared.valueOf(yield* checkpoints.load(path)), 1)
      // the replacement is in place
      yield* checkpoints.save({ path, adapter: adapterOf(2), overwrite: true })
      yield* end
      yield* fs.makeDirectory(`${directory}/.draft-${ended}.abc`)
      yield* fs.copy(place, old)
      yield* fs.writeFileString(`${old}/adapter_model.safetensors`, "old")
      const next = yield* open()
      assert.strictEqual(shared.valueOf(yield* next.checkpoints.load(path)), 2)
      yield* next.end
      // what is in the draft is none
      for (const content of ["{", '{"training_run_id":"..","kind":"weights","name":"a"}']) {
        yield* fs.makeDirectory(old, { recursive: true })
        yield* fs.writeFileString(`${old}/checkpoint.json`, content)
        yield* Effect.flatMap(open(), ({ end }) => end)
      }
      yield* fs.makeDirectory(old, { recursive: true })
      yield* open()
      assert.deepStrictEqual(
        (yield* below()).filter((name) => name.endsWith("checkpoint.json") || name.startsWith(".")),
        ["s%3Atrain%3A0/weights/one/checkpoint.json"]
      )
    }).pipe(scoped)
  )

  it.effect("completes a save or an update whose files are in place, and forgets others", () =>
    Effect.gen(function* () {
      const { below, open, records, revision } = yield* saved
      const { store } = yield* records
      const row = (yield* store.checkpoints.get({ path: text }))!
      const settle = (reservation: Partial<Store.ReservationRow>, isRecorded: boolean) =>
        Effect.gen(function* () {
          if (isRecorded) yield* store.checkpoints.put(row)
          else yield* store.checkpoints.remove({ path: text })
          yield* store.reserve({ path: text, instance: ended, action: "save", revision, ...reservation })
          const { end } = yield* open()
          yield* end
          assert.isEmpty(yield* store.reservations.list())
          const found = yield* store.checkpoints.get({ path: text })
          return [found !== undefined, (yield* below("s%3Atrain%3A0/weights")).includes("one")]
        })
      assert.deepStrictEqual(yield* settle({}, false), [true, true])
      assert.deepStrictEqual(yield* settle({ action: "update" }, false), [true, true])
      assert.deepStrictEqual(yield* settle({ revision: "another" }, true), [true, true])
      assert.deepStrictEqual(yield* settle({ path: "no path" }, true), [true, true])
      // the record of a removed checkpoint goes first
      assert.deepStrictEqual(yield* settle({ action: "remove", revision: "another" }, true), [true, true])
      assert.deepStrictEqual(yield* settle({ action: "remove" }, true), [true, true])
      assert.deepStrictEqual(yield* settle({ action: "remove" }, false), [false, false])
      assert.deepStrictEqual(yield* settle({}, false), [false, false])
    }).pipe(scoped)
  )

  it.effect("leaves what a running process changes, and what has a record", () =>
    Effect.gen(function* () {
      const { open, records, revision } = yield* saved
      const other = yield* records
      yield* other.store.checkpoints.remove({ path: text })
      yield* other.store.reserve({ path: text, instance: other.store.instance, action: "save", revision })
      const { checkpoints, end } = yield* open()
      assert.isEmpty(yield* checkpoints.list)
      assert.strictEqual((yield* other.store.reservations.list()).length, 1)
      yield* end
      yield* other.store.reservations.remove({ path: text })
      const added = yield* open()
      const [info] = yield* added.checkpoints.list
      assert.deepInclude(info, { ...path, revision })
      // the record says more than the file
      const row = (yield* other.store.checkpoints.get({ path: text }))!
      yield* other.store.checkpoints.put({ ...row, info: { ...row.info, public: true } })
      const again = yield* open()
      assert.isTrue((yield* again.checkpoints.info(path)).public)
    }).pipe(scoped)
  )

  it.effect("adds the checkpoints that have no record, and passes over what is none", () =>
    Effect.gen(function* () {
      const { directory, fs, open, place, records, revision, write } = yield* saved
      const { store } = yield* records
      yield* store.checkpoints.remove({ path: text })
      yield* write("notes.txt", "x")
      yield* fs.copy(`${directory}/s%3Atrain%3A0`, `${directory}/.hidden`)
      yield* fs.copy(place, `${place}.`)
      yield* write("s%3Atrain%3A0/weights/damaged/checkpoint.json", "{")
      yield* write("s%3Atrain%3A0/weights/empty/other.json", "{}")
      yield* write("s%3Atrain%3A0/weights/.hidden/checkpoint.json", "{}")
      yield* write("not a run/weights/one/checkpoint.json", "{}")
      const { checkpoints } = yield* open()
      assert.deepStrictEqual(
        [...new Set((yield* checkpoints.list).map((info) => `${info.name} ${info.revision}`))],
        [`one ${revision}`]
      )
      // they are committed
      assert.isDefined(yield* store.checkpoints.get({ path: text }))
    }).pipe(scoped)
  )

  it.effect("removes the files of uploads that have no record", () =>
    Effect.gen(function* () {
      const { below, open, records, write } = yield* saved
      const { store } = yield* records
      yield* store.uploads.put(upload("kept"))
      yield* write(".uploads/kept/a", "x")
      yield* write(".uploads/gone/deep/a", "x")
      yield* open()
      assert.deepStrictEqual(yield* below(".uploads"), ["kept", "kept/a"])
    }).pipe(scoped)
  )

  it.effect("creates nothing where there is nothing, and says so where it cannot clean up", () =>
    Effect.gen(function* () {
      const { directory, fs, open, write } = yield* saved
      yield* write(`.draft-${ended}.abc/x`, "x")
      const broken = { ...fs, remove: () => fs.remove("/nowhere/at/all") } as FileSystem.FileSystem
      const { lines } = yield* withWarnings(open({ fs: broken }))
      assert.deepStrictEqual(lines.length, 1)
      assert.include(lines[0], `what earlier processes left in ${directory} cannot be cleaned up`)
      yield* fs.remove(directory, { recursive: true })
      const { lines: none } = yield* withWarnings(open())
      assert.isEmpty(none)
      assert.isFalse(yield* fs.exists(directory))
      yield* fs.makeDirectory(directory)
    }).pipe(scoped)
  )
})
