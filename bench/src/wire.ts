/**
 * Measures the codec on a batch of 1,024 datums of 4,096 tokens, with targets and weights: 64 MiB of numbers in the
 * request, 16 MiB of logprobs in the response. The baselines are the official Python client on the same batch, where
 * interop/record.py has installed it, and JSON, which older servers use.
 *
 * A ratio above 1 means that we are better. Throughput is that of the fastest of several runs. `wire.encode` allocates
 * memory for every message; `wire.encode.kept-buffer` writes into the same buffer each time.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Training from "@effect-tinker/api/Training"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const datums = 1024
const tokens = 4096
const repeats = 15

const ok = <A, E>(either: Either.Either<A, E>): A => Either.getOrThrowWith(either, (error) => error)

const seconds = (work: () => unknown, runs = repeats): number => {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    work()
    best = Math.min(best, performance.now() - start)
  }
  return best / 1000
}

const collect = (): void => (globalThis as { gc?: () => void }).gc?.()

/** The peak memory of some work in bytes, above what was in use before it. */
const memory = (work: () => Uint8Array): number => {
  collect()
  const before = process.memoryUsage()
  const kept = work()
  const after = process.memoryUsage()
  return Math.max(kept.length, after.arrayBuffers - before.arrayBuffers + Math.max(0, after.heapUsed - before.heapUsed))
}

/** The figures of the official client, by name. */
const baseline = (): ReadonlyMap<string, string> => {
  const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  const python = [file("../../interop/.venv/bin/python"), file("../../interop/.venv/Scripts/python.exe")].find(
    existsSync
  )
  if (python === undefined) return new Map()
  const args = [file("../python/wire_baseline.py"), String(datums), String(tokens)]
  const { stdout } = spawnSync(python, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
  return new Map(
    (stdout ?? "").split("\n").flatMap((line) => {
      const [name, value] = line.split("\t")
      return name !== undefined && value !== undefined ? [[name, value] as const] : []
    })
  )
}

const batch = (): ProtobufCodec.ForwardBackwardMessage => ({
  forward_backward_input: {
    data: Array.from({ length: datums }, (_, i) => {
      const input = new Int32Array(tokens).map((_, j) => (i * 31 + j * 7) % 150_000)
      return Datum.make({
        model_input: input,
        loss_fn_inputs: { target_tokens: input.slice(), weights: new Float32Array(tokens).fill(1) }
      })
    }),
    loss_fn: "cross_entropy"
  },
  model_id: "s:train:0",
  seq_id: 1
})

const result = (): Training.ForwardBackwardOutput => ({
  loss_fn_output_type: "ArrayRecord",
  loss_fn_outputs: Array.from({ length: datums }, () => ({
    logprobs: { dtype: "float32" as const, data: new Float32Array(tokens).fill(-1.5), shape: [tokens] }
  })),
  metrics: { "loss:sum": 1.5 }
})

export const main = async (print: (line: string) => void = console.log): Promise<void> => {
  const official = baseline()
  const figure = (name: string, value: number, unit: string, against?: number, baseline = "-") =>
    print(
      [
        "figure",
        name,
        value.toPrecision(4),
        unit,
        against === undefined ? "-" : (value / against).toPrecision(3),
        baseline
      ].join("\t")
    )
  const theirs = (name: string) => {
    const value = official.get(name)
    return value === undefined ? undefined : Number(value) / 1e9
  }
  const client = official.get("client")

  const pass = batch()
  const encode = () => ok(ProtobufCodec.encodeForwardBackwardRequest(pass))
  const bytes = encode()
  const into = new Uint8Array(bytes.length)
  const rate = (size: number, work: () => unknown, runs?: number) => size / seconds(work, runs) / 1e9

  // a plain copy into new memory: no encoder that allocates can be faster
  figure(
    "wire.copy",
    rate(bytes.length, () => new Uint8Array(bytes.length).set(bytes)),
    "GB/s"
  )
  figure("wire.encode", rate(bytes.length, encode), "GB/s", theirs("encode"), client)
  figure(
    "wire.encode.kept-buffer",
    rate(bytes.length, () => ok(ProtobufCodec.encodeForwardBackwardRequest(pass, { into }))),
    "GB/s",
    theirs("encode"),
    client
  )
  figure("wire.encode.memory", memory(encode) / bytes.length, "x payload")
  figure(
    "wire.decode.request",
    rate(bytes.length, () => ok(ProtobufCodec.decodeForwardBackwardRequest(bytes))),
    "GB/s"
  )

  const encoded = ok(ProtobufCodec.encodeForwardBackwardOutput(result()))
  figure(
    "wire.decode.logprobs",
    rate(encoded.length, () => ok(ProtobufCodec.decodeForwardBackwardOutput(encoded))),
    "GB/s",
    theirs("decode"),
    client
  )

  // JSON of the same batch; its throughput counts the bytes that protobuf would take
  const write = Schema.encodeSync(Training.ForwardBackwardRequest)
  const read = Schema.decodeUnknownSync(Training.ForwardBackwardRequest)
  const protobuf = rate(bytes.length, encode)
  const text = JSON.stringify(write(pass))
  figure(
    "wire.json.encode",
    rate(bytes.length, () => JSON.stringify(write(pass)), 3),
    "GB/s",
    protobuf,
    "protobuf"
  )
  figure(
    "wire.json.decode",
    rate(bytes.length, () => read(JSON.parse(text)), 3),
    "GB/s",
    protobuf,
    "protobuf"
  )
  figure("wire.json.size", text.length / bytes.length, "x protobuf")
}

export default main

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) await main()
