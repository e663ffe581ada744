/** `npm run observe`: prints the trace of a program through a service in another process, and the metrics of both. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { observe } from "./observe.ts"
import * as shape from "./shape.ts"
import * as tree from "./tree.ts"

const main = Effect.gen(function* () {
  const { code, metrics, spans } = yield* observe
  const lines = tree.draw(spans, "program", true)
  yield* Console.log(lines.join("\n"))
  yield* Console.log(`\nspans of other traces: ${tree.others(spans, "program").join(", ") || "none"}`)
  yield* Console.log(`\n${tree.list(metrics.values()).join("\n")}\n`)
  if (code !== 0 || lines.length === 0) return yield* Effect.fail(`the program ended with ${code}`)
  const difference = shape.difference(tree.draw(spans, "program", false))
  if (difference !== undefined) return yield* Effect.fail(difference)
  yield* Console.log(`ok: one trace of ${lines.length} spans through two processes, ${metrics.size} metrics`)
})

NodeRuntime.runMain(Effect.provide(main, NodeContext.layer))
