/** `tinker report` and `tinker watch`. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as tinker from "../../utils/tinker.ts"

const runDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  yield* fs.writeFileString(`${directory}/metrics.jsonl`, '{"step": 0, "train_mean_nll": 1.5}\n')
  return directory
})

it.scopedLive("tinker report writes the page of a run, and tinker watch serves it until Ctrl-C", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* runDirectory
    const report = yield* Effect.flatMap(tinker.start(["report", directory]), ({ result }) => result)
    assert.deepStrictEqual([report.code, report.stdout], [0, `${directory}/report.html\n`])
    assert.match(yield* fs.readFileString(`${directory}/report.html`), /"train_mean_nll":\[1\.5\]/)

    const watch = yield* tinker.start(["watch", directory])
    const [url] = yield* watch.until(/http:\/\/127\.0\.0\.1:\d+/)
    const response = yield* Effect.promise(() => fetch(`${url}/data`).then((response) => response.json()))
    assert.deepStrictEqual(response.table.columns.train_mean_nll, [1.5])
    watch.child.kill("SIGINT")
    assert.strictEqual((yield* watch.result).code, 130)
  }).pipe(Effect.provide(NodeContext.layer))
)

it.scopedLive("tinker watch says which directory is none of a run", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const { code, stderr } = yield* Effect.flatMap(tinker.start(["watch", directory]), ({ result }) => result)
    assert.strictEqual(code, 1)
    assert.include(stderr, `${directory}: is not the directory of a run`)
  }).pipe(Effect.provide(NodeContext.layer))
)
