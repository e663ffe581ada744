/** Saves checkpoints from two processes into one directory, and compares what is there then with what was acknowledged. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Embedded from "../../src/Embedded.ts"
import * as processes from "./processes.ts"

/** Each process saves so many checkpoints under names of its own, and some under names that both want. */
export const saveSideBySide = (directory: string, count: number) =>
  Effect.gen(function* () {
    const savers = yield* Effect.all(
      ["one", "two"].map((name) => processes.start("saver.ts", directory, name, String(count))),
      { concurrency: "unbounded" }
    )
    const outputs = yield* Effect.all(
      savers.map(({ output }) => output),
      { concurrency: "unbounded" }
    )
    const acknowledged = outputs.flatMap((text) => text.split("\n").filter((line) => line.startsWith("tinker://")))
    const problems = acknowledged.length === new Set(acknowledged).size ? [] : ["a name was given to both"]
    const store = yield* CheckpointStore.CheckpointStore
    const listed = new Set((yield* store.list).map((info) => TinkerPath.format(info)))
    for (const path of acknowledged) {
      const read = yield* Effect.either(store.load(Option.getOrThrow(TinkerPath.parse(path))))
      const expected = Number(/-(\d+)$/.exec(path)?.[1])
      if (!listed.has(path)) problems.push(`${path} is not listed`)
      if (read._tag === "Left") problems.push(`${path}: ${read.left.message}`)
      else if (read.right.adapter.weights["w"]!.data[0] !== expected) problems.push(`${path} has other weights`)
    }
    const latest = yield* Effect.either(store.load({ training_run_id: "s:train:0", kind: "weights", name: "latest" }))
    if (latest._tag === "Left") problems.push(latest.left.message)
    return { problems, acknowledged: acknowledged.length }
  }).pipe(
    Effect.provide(CheckpointStore.layerFileSystem(directory)),
    Effect.provide(Embedded.layerStore(directory)),
    Effect.provide(NodeContext.layer),
    Effect.scoped
  )
