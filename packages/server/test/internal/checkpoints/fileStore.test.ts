import { withWarnings } from "@effect-tinker/testing/Logs"
import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as shared from "../../utils/sharedDirectory.ts"

const { adapterOf, optimizer, path, text, valueOf } = shared
const other = { ...path, name: "two" } as const

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.scoped, Effect.provide(NodeContext.layer))

/** Waits until a fiber has done what it can without the clock: it reads and writes files meanwhile. */
const settle = Effect.promise(() => new Promise<void>((resume) => setImmediate(resume))).pipe(Effect.repeatN(40))

/** Lets virtual time pass in steps, with time for files between them. */
const pass = (milliseconds: number, steps: number) =>
  Effect.repeatN(Effect.zipRight(TestClock.adjust(milliseconds), settle), steps - 1)

/** The result of a fiber that sleeps now and then. Files take as long as they take, so that virtual time goes on until it ends. */
const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.flatMap(Effect.repeat(Effect.zipRight(pass(50, 1), Fiber.poll(fiber)), { until: Option.isSome }), () =>
    Fiber.join(fiber)
  )

const reasonOf = <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("a store of checkpoints in a directory", () => {
  it.effect("refuses files whose size or whose content is another", () =>
    Effect.gen(function* () {
      const { fs, open, place } = yield* shared.make
      const { checkpoints } = yield* open()
      yield* checkpoints.save({ path, adapter: adapterOf(1), optimizer })
      for (const file of ["adapter_model.safetensors", "optimizer.safetensors"]) {
        const bytes = yield* fs.readFile(`${place}/${file}`)
        const damaged = `${text}: ${file} is damaged: it does not match its checksum`
        for (const content of [bytes.with(-1, bytes.at(-1)! ^ 1), Uint8Array.of(...bytes, 0)]) {
          yield* fs.writeFile(`${place}/${file}`, content)
          assert.strictEqual(yield* reasonOf(checkpoints.load(path)), damaged)
        }
        yield* fs.remove(`${place}/${file}`)
        assert.include(yield* reasonOf(checkpoints.load(path)), file)
        yield* fs.writeFile(`${place}/${file}`, bytes)
      }
      assert.deepStrictEqual((yield* checkpoints.load(path)).optimizer, optimizer)
      // a size that is wrong on its own
      const info = JSON.parse(yield* fs.readFileString(`${place}/checkpoint.json`))
      info.files["adapter_model.safetensors"].size_bytes++
      yield* fs.writeFileString(`${place}/checkpoint.json`, JSON.stringify(info))
      assert.include(yield* reasonOf(checkpoints.load(path)), "is damaged")
      // earlier versions wrote no checksums
      delete info.files
      yield* fs.writeFileString(`${place}/checkpoint.json`, JSON.stringify(info))
      assert.strictEqual(valueOf(yield* checkpoints.load(path)), 1)
    }).pipe(scoped)
  )

  it.effect("says that the files of a checkpoint are not there, and removes its record all the same", () =>
    Effect.gen(function* () {
      const { fs, open, place } = yield* shared.make
      const { checkpoints } = yield* open()
      yield* checkpoints.save({ path, adapter: adapterOf(1) })
      yield* fs.remove(place, { recursive: true })
      assert.strictEqual(yield* reasonOf(checkpoints.load(path)), `${text}: its files are not there`)
      const outside = checkpoints.save({ path: { ...path, name: "../x" }, adapter: adapterOf(1) })
      assert.include(yield* reasonOf(outside), "is not a valid checkpoint path")
      // a change of what has no files is one of the record
      assert.isTrue((yield* checkpoints.update(path, { public: true })).public)
      assert.isTrue((yield* checkpoints.info(path)).public)
      yield* checkpoints.remove(path)
      assert.isEmpty(yield* checkpoints.list)
    }).pipe(scoped)
  )

  it.effect("writes a change into the files, with the checksums that were there", () =>
    Effect.gen(function* () {
      const { below, fs, open, place, records } = yield* shared.make
      const { checkpoints, end } = yield* open()
      yield* checkpoints.save({ path, adapter: adapterOf(1) })
      const before = JSON.parse(yield* fs.readFileString(`${place}/checkpoint.json`))
      yield* checkpoints.update(path, { public: true, expires_at: 5000 })
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${place}/checkpoint.json`)), {
        ...before,
        public: true,
        expires_at: 5000
      })
      assert.strictEqual(((yield* fs.stat(`${place}/checkpoint.json`)).mode & 0o777).toString(8), "600")
      assert.isEmpty((yield* below()).filter((name) => name.startsWith(".")))
      yield* end
      // so that it is there without the records
      const { store } = yield* records
      yield* store.checkpoints.remove({ path: text })
      const again = yield* open()
      assert.deepInclude(yield* again.checkpoints.info(path), { public: true, expires_at: 5000 })
    }).pipe(scoped)
  )

  it.effect("waits for another process that changes a checkpoint, for a minute at most", () =>
    Effect.gen(function* () {
      const { open, records } = yield* shared.make
      const { checkpoints } = yield* open()
      yield* checkpoints.save({ path, adapter: adapterOf(1) })
      const { store } = yield* records
      const reservation = { path: text, instance: store.instance, action: "save", revision: "x" } as const
      yield* store.reserve(reservation)
      const change = checkpoints.update(path, { public: true })
      const fiber = yield* Effect.fork(reasonOf(change))
      yield* settle
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), `${text}: is being changed by another process`)
      // the reservation of the other stays
      assert.deepStrictEqual(yield* store.reservations.list(), [reservation])
      const waiting = yield* Effect.fork(change)
      yield* settle
      yield* store.reservations.remove({ path: text })
      assert.isTrue((yield* ended(waiting)).public)
      assert.isEmpty(yield* store.reservations.list())
    }).pipe(scoped)
  )

  it.effect("does not wait for a process that has ended, and completes what it began", () =>
    Effect.gen(function* () {
      const { open, records } = yield* shared.make
      const { checkpoints } = yield* open()
      const { revision } = yield* checkpoints.save({ path, adapter: adapterOf(1) })
      const gone = yield* records
      const { store } = yield* records
      yield* store.checkpoints.remove({ path: text })
      yield* gone.store.reserve({ path: text, instance: gone.store.instance, action: "save", revision: revision! })
      yield* gone.end
      const exists = yield* Effect.flip(checkpoints.save({ path, adapter: adapterOf(2) }))
      assert.strictEqual(exists._tag, "CheckpointExists")
      assert.strictEqual(valueOf(yield* checkpoints.load(path)), 1)
    }).pipe(scoped)
  )

  it.effect("is free again after a change that failed or was interrupted", () =>
    Effect.gen(function* () {
      const { below, fs, open, records } = yield* shared.make
      let isHeld = false
      const held = yield* Deferred.make<void>()
      const slow = {
        ...fs,
        open: (file: string, options?: FileSystem.OpenFileOptions) =>
          isHeld && file.endsWith("adapter_model.safetensors")
            ? Effect.zipRight(Deferred.succeed(held, undefined), Effect.never)
            : fs.open(file, options)
      }
      const { checkpoints } = yield* open({ fs: slow })
      const { store } = yield* records
      yield* checkpoints.save({ path, adapter: adapterOf(1) })
      assert.strictEqual(
        (yield* Effect.flip(checkpoints.save({ path, adapter: adapterOf(2) })))._tag,
        "CheckpointExists"
      )
      assert.isEmpty(yield* store.reservations.list())
      isHeld = true
      const fiber = yield* Effect.fork(checkpoints.save({ path, adapter: adapterOf(2), overwrite: true }))
      yield* Deferred.await(held)
      const [reservation] = yield* store.reservations.list()
      assert.deepInclude(reservation, { path: text, action: "save" })
      // the draft names its process, so that no other takes it away
      const drafts = (yield* below()).filter((name) => name.startsWith(`.draft-${reservation!.instance}.`))
      assert.isNotEmpty(drafts)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.isEmpty(yield* store.reservations.list())
      isHeld = false
      assert.strictEqual(valueOf(yield* checkpoints.load(path)), 1)
      assert.isEmpty((yield* below()).filter((name) => name.startsWith(".")))
    }).pipe(scoped)
  )

  it.effect("removes what has expired once an hour, with the next save", () =>
    Effect.gen(function* () {
      const { below, open } = yield* shared.make
      const { checkpoints } = yield* open()
      const names = Effect.map(below("s%3Atrain%3A0/weights"), (all) => all.filter((name) => !name.includes("/")))
      const save = (name: string, ttl_seconds?: number) =>
        checkpoints.save({ path: { ...path, name }, adapter: adapterOf(1), ttl_seconds })
      yield* save("a", 60)
      yield* save("b")
      yield* TestClock.adjust("59 minutes")
      yield* save("c", 59)
      assert.deepStrictEqual(yield* names, ["a", "b", "c"])
      yield* TestClock.adjust("1 minutes")
      yield* save("d")
      assert.deepStrictEqual(yield* names, ["b", "d"])
      // one that expires at this very moment has expired
      yield* save("e", 3600)
      yield* TestClock.adjust("1 hour")
      yield* save("f")
      assert.deepStrictEqual(yield* names, ["b", "d", "f"])
    }).pipe(scoped)
  )

  it.effect("does not remove what another process has saved since", () =>
    Effect.gen(function* () {
      const { open, records } = yield* shared.make
      const { store } = yield* records
      const [one, two] = [yield* open(), yield* open()]
      const reservation = { path: text, instance: store.instance, action: "save", revision: "x" } as const
      /** Starts a removal that has to wait, saves meanwhile, and lets it go on. */
      const replacedDuring = <A, E>(removal: Effect.Effect<A, E>) =>
        Effect.gen(function* () {
          yield* store.reserve(reservation)
          const removing = yield* Effect.fork(removal)
          yield* settle
          yield* store.reservations.remove({ path: text })
          yield* two.checkpoints.save({ path, adapter: adapterOf(2), overwrite: true })
          yield* ended(removing)
          return valueOf(yield* two.checkpoints.load(path))
        })
      yield* one.checkpoints.save({ path, adapter: adapterOf(1) })
      assert.strictEqual(yield* replacedDuring(one.checkpoints.remove(path)), 2)
      // a checkpoint that has expired, which the next save of another sweeps
      yield* one.checkpoints.save({ path, adapter: adapterOf(1), overwrite: true, ttl_seconds: 60 })
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* replacedDuring(one.checkpoints.save({ path: other, adapter: adapterOf(3) })), 2)
    }).pipe(scoped)
  )

  it.effect("says so where what has expired cannot be removed, and saves all the same", () =>
    Effect.gen(function* () {
      const { fs, open, place } = yield* shared.make
      const broken = {
        ...fs,
        rename: (from: string, to: string) => (from === place ? fs.rename("/nowhere", to) : fs.rename(from, to))
      }
      const { checkpoints } = yield* open({ fs: broken })
      yield* checkpoints.save({ path, adapter: adapterOf(1), ttl_seconds: 60 })
      yield* TestClock.adjust("1 hour")
      const { lines } = yield* withWarnings(checkpoints.save({ path: other, adapter: adapterOf(2) }))
      assert.deepStrictEqual(lines.length, 1)
      assert.include(lines[0], "expired checkpoints cannot be removed")
      assert.strictEqual(valueOf(yield* checkpoints.load(other)), 2)
    }).pipe(scoped)
  )

  it.effect("reads a checkpoint again that another process replaces, and gives up after two seconds", () =>
    Effect.gen(function* () {
      const { fs, open, place, records } = yield* shared.make
      const { checkpoints } = yield* open()
      yield* checkpoints.save({ path, adapter: adapterOf(1) })
      const { store } = yield* records
      const away = `${place}-away`
      yield* store.reserve({ path: text, instance: store.instance, action: "save", revision: "x" })
      yield* fs.rename(place, away)
      const loading = yield* Effect.fork(checkpoints.load(path))
      yield* settle
      yield* pass(50, 2)
      assert.strictEqual((yield* Fiber.poll(loading))._tag, "None")
      yield* fs.rename(away, place)
      assert.strictEqual(valueOf(yield* ended(loading)), 1)
      // its record is of the save before: the files are of the next
      const row = (yield* store.checkpoints.get({ path: text }))!
      yield* store.checkpoints.put({ ...row, info: { ...row.info, revision: "before" } })
      const stale = yield* Effect.fork(checkpoints.load(path))
      yield* settle
      yield* pass(50, 2)
      assert.strictEqual((yield* Fiber.poll(stale))._tag, "None")
      yield* store.checkpoints.put(row)
      assert.strictEqual((yield* ended(stale)).info.revision, row.info.revision)
      yield* fs.rename(place, away)
      const never = yield* Effect.fork(reasonOf(checkpoints.load(path)))
      yield* settle
      yield* pass(50, 39)
      assert.strictEqual((yield* Fiber.poll(never))._tag, "None")
      assert.strictEqual(yield* ended(never), `${text}: its files are not there`)
    }).pipe(scoped)
  )
})
