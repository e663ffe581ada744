/**
 * Opens a file of conversations that is larger than the longest string of JavaScript, plain or compressed, and reads
 * records from all over it. Memory must stay flat, and nothing may block the event loop for long.
 *
 *   npm run big-file -- --megabytes 700 --compression none|gzip
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { createWriteStream } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { once } from "node:events"
import { pipeline } from "node:stream/promises"
import { Readable } from "node:stream"
import { parseArgs } from "node:util"
import { createGzip } from "node:zlib"
import * as Batches from "../../src/Batches.ts"
import * as Dataset from "../../src/Dataset.ts"

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "700" },
    compression: { type: "string", default: "none" }
  }
})

const megabytes = Number(values.megabytes)

const words = Array.from({ length: 997 }, (_, i) =>
  Array.from({ length: 60 }, (_, word) => ((i * 31 + word * 7919) % 100_003).toString(36)).join(" ")
)

const lineOf = (i: number): string => {
  const text = words[i % words.length]!
  return `{"messages":[{"role":"user","content":"question ${i} é ${text}"},{"role":"assistant","content":"answer ${i}: ${text}"}]}\n`
}

/** Lines of the size that was asked for. Succeeds with their number. */
const writeFile = async (path: string): Promise<number> => {
  let count = 0
  const parts = function* () {
    for (let bytes = 0; bytes < megabytes * 1e6;) {
      let part = ""
      for (let i = 0; i < 1000; i++) part += lineOf(count++)
      bytes += part.length
      yield Buffer.from(part)
    }
  }
  const file = createWriteStream(path)
  await (values.compression === "gzip"
    ? pipeline(Readable.from(parts()), createGzip({ level: 1 }), file)
    : pipeline(Readable.from(parts()), file))
  if (!file.closed) await once(file, "close")
  return count
}

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const path = `${directory}/big.jsonl`
  const count = yield* Effect.promise(() => writeFile(path))
  const { size } = yield* fs.stat(path)
  yield* Console.log(`${count} records, ${Number(size)} bytes, compression ${values.compression}`)
  globalThis.gc?.()
  const before = process.memoryUsage()
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  let most = 0
  const timer = setInterval(() => {
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    most = Math.max(most, heapUsed + arrayBuffers)
  }, 200)
  const start = performance.now()
  const data = yield* Dataset.open(path)
  const seconds = (performance.now() - start) / 1000
  yield* Console.log(`opened in ${seconds.toFixed(1)} s, ${((megabytes || 1) / seconds).toFixed(1)} MB/s`)
  if (data.size !== count) return yield* Effect.dieMessage(`there are ${data.size} records`)
  const batches = Batches.make(data, { size: 100, seed: 0 })
  for (let step = 0; step < 50; step++) {
    for (const record of yield* batches.at(step)) {
      if (record._tag !== "Conversation") return yield* Effect.dieMessage("a record is no conversation")
    }
  }
  for (const position of [0, 1, Math.floor(count / 2), count - 1]) {
    const record = yield* data.at(position)
    const text = record._tag === "Conversation" ? String(record.messages[0].content) : ""
    if (!text.startsWith(`question ${position} é `)) return yield* Effect.dieMessage(`record ${position} is ${text}`)
  }
  clearInterval(timer)
  delay.disable()
  globalThis.gc?.()
  const after = process.memoryUsage()
  const kept = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  const peak = (most - before.heapUsed - before.arrayBuffers) / 1e6
  yield* Console.log(
    `${(kept / 1e6).toFixed(1)} MB kept, ${(kept / count).toFixed(1)} bytes a record, ${peak.toFixed(0)} MB at most; ` +
      `event loop blocked for ${(delay.max / 1e6).toFixed(0)} ms at most, ${(delay.percentile(99) / 1e6).toFixed(0)} ms in 99 %`
  )
  // compiled code stays as well
  if (kept > 30e6 + 60 * count) return yield* Effect.dieMessage("more than 60 bytes are kept a record")
  if (peak > 300) return yield* Effect.dieMessage("more than 300 MB were in use")
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

NodeRuntime.runMain(program)
