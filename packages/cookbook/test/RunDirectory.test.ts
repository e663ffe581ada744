import { withWarnings } from "@effect-tinker/testing/Logs"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as RunDirectory from "../src/RunDirectory.ts"
import { jsonLines } from "./utils/runs.ts"

const config = { base_model: "m", steps: 9, data: { hash: "a", size: 3 } }

const checkpoint = (batch: number) => ({
  name: String(batch),
  batch,
  state_path: `tinker://s:train:0/weights/${batch}`
})

/** A directory with rows 0 to 5 and checkpoints of 2 and 4 steps. */
const written = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* fs.makeTempDirectoryScoped()
  const run = yield* RunDirectory.open({ path, config })
  yield* run.startAt(0)
  for (let step = 0; step < 6; step++) {
    const spans = [{ name: "optim_step", duration: 1, wall_start: step, wall_end: step + 1 }]
    yield* run.sink({ step, train_mean_nll: 6 - step }, spans)
    if (step === 1 || step === 3) yield* run.record(checkpoint(step + 1))
  }
  return path
})

const steps = (file: string) => Effect.map(jsonLines(file), (rows) => rows.map(({ step }) => step))

const append = (file: string, text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(file, text, { flag: "a" }))

describe("the directory of a run", () => {
  it.scoped("resumes at its last checkpoint, cuts what runs again, and keeps the old file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* written
      // killed while writing both
      yield* append(`${path}/metrics.jsonl`, '{"step":6,"train')
      yield* append(`${path}/checkpoints.jsonl`, '{"name":"000006"')
      const old = yield* fs.readFileString(`${path}/metrics.jsonl`)
      const resumed = yield* RunDirectory.open({
        path,
        config: { ...config, data: { size: 3, hash: "a" } },
        resume: true
      })
      assert.deepStrictEqual(
        resumed.resumable.map(({ batch }) => batch),
        [4, 2]
      )
      assert.deepStrictEqual(
        (yield* resumed.startAt(4)).map(({ train_mean_nll }) => train_mean_nll),
        [6, 5, 4, 3]
      )
      assert.strictEqual(yield* fs.readFileString(`${path}/metrics.jsonl.pre_resume_000004`), old)
      yield* resumed.sink({ step: 4 }, [])
      yield* resumed.record(checkpoint(5))
      assert.deepStrictEqual(yield* steps(`${path}/metrics.jsonl`), [0, 1, 2, 3, 4])
      assert.deepStrictEqual(yield* steps(`${path}/timing_spans.jsonl`), [0, 1, 2, 3])
      assert.deepStrictEqual(
        (yield* jsonLines(`${path}/checkpoints.jsonl`)).map(({ batch, writer }) => [batch, writer]),
        [2, 4, 5].map((batch) => [batch, "effect-tinker"])
      )
      assert.strictEqual(yield* RunDirectory.progress(path), 5)

      // a second resume at the same step overwrites nothing
      const again = yield* RunDirectory.open({ path, config, resume: true })
      yield* again.startAt(4)
      assert.deepStrictEqual(yield* steps(`${path}/metrics.jsonl.pre_resume_000004_2`), [0, 1, 2, 3, 4])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("changes nothing if it is not to be resumed, or holds another run", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* written
      const before = yield* fs.readFileString(`${path}/metrics.jsonl`)
      const exists = yield* Effect.flip(RunDirectory.open({ path, config }))
      assert.strictEqual(exists._tag, "RunExists")
      const { steps: _, ...rest } = config
      const other = yield* Effect.flip(
        RunDirectory.open({ path, config: { ...rest, data: { hash: "b", size: 3 }, rank: 8 }, resume: true })
      )
      assert.instanceOf(other, RunDirectory.RunMismatch)
      if (!(other instanceof RunDirectory.RunMismatch)) return
      assert.deepStrictEqual(other.differences, [
        { name: "steps", recorded: "9", given: "not set" },
        { name: "data", recorded: '{"hash":"a","size":3}', given: '{"hash":"b","size":3}' },
        { name: "rank", recorded: "not set", given: "8" }
      ])
      assert.strictEqual(yield* fs.readFileString(`${path}/metrics.jsonl`), before)
      assert.sameMembers(yield* fs.readDirectory(path), [
        "config.json",
        "metrics.jsonl",
        "timing_spans.jsonl",
        "checkpoints.jsonl"
      ])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("warns of a run of another program, whose checkpoints hold more steps than they say", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${path}/config.json`, '{"model_name": "m"}')
      yield* fs.writeFileString(
        `${path}/metrics.jsonl`,
        '{"step": 0, "train_mean_nll": NaN, "note": "NaN, Infinity"}\n{"step": 1, "train_mean_nll": -Infinity}\n'
      )
      yield* fs.writeFileString(
        `${path}/checkpoints.jsonl`,
        '{"name": "000001", "batch": 1, "epoch": 0, "state_path": "tinker://s:train:0/weights/1"}\n'
      )
      const { lines, value } = yield* withWarnings(RunDirectory.open({ path, config, resume: true }))
      assert.isTrue(lines.some((line) => line.includes("was not written by effect-tinker")))
      assert.isTrue(lines.some((line) => line.includes("steps from 1 on may be applied twice")))
      assert.deepStrictEqual(yield* value.startAt(1), [{ step: 0, train_mean_nll: null, note: "NaN, Infinity" }])
      assert.strictEqual(yield* fs.readFileString(`${path}/config.json.pre_resume_000001`), '{"model_name": "m"}')
      yield* value.record(checkpoint(2))
      const ours = yield* withWarnings(RunDirectory.open({ path, config, resume: true }))
      assert.deepStrictEqual(ours.lines, [])
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("names the line that is broken, unless it is the last", () =>
    Effect.gen(function* () {
      const path = yield* written
      yield* append(`${path}/metrics.jsonl`, 'oops\n{"step":6}\n')
      const error = yield* Effect.flip(RunDirectory.open({ path, config, resume: true }))
      assert.match(error.message, /\/metrics\.jsonl:7: /)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
