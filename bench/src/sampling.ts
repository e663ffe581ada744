/**
 * 20,000 samples with 2,000 in flight, against a scripted service in another process: the SDK with all that it does
 * beside a bare undici loop that sends the same two requests for each sample, and the official Python client where
 * interop/record.py has installed it, or where PYTHON names a Python that has it. Each runs in a process of its own, in
 * turns (the official client once, for it takes a minute); the fastest of the turns counts. The SDK is built first, and
 * run as it is published.
 *
 * `SAMPLES` and `IN_FLIGHT` choose other numbers.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { figure } from "./figure.ts"
import type { Measured } from "./sampling/measure.ts"

const count = Number(process.env["SAMPLES"] ?? 20_000)
const inFlight = Number(process.env["IN_FLIGHT"] ?? 2000)
const rounds = 3

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const published = ["--import", "tsx"]
const nodeArgs = ["--conditions=effect-tinker-source", ...published]

const build = () => {
  const { status } = spawnSync("npm", ["run", "--silent", "build"], { cwd: file("../.."), stdio: "inherit" })
  if (status !== 0) throw new Error("the packages do not build")
}

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    child.stdout!.on("data", (part: Buffer) => {
      text += part.toString()
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")))
    })
    child.on("exit", (code) => reject(new Error(`ended with ${code} before it printed`)))
  })

const measured = async (command: string, args: ReadonlyArray<string>): Promise<Measured> => {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] })
  const line = await firstLine(child)
  child.kill()
  return JSON.parse(line) as Measured
}

const best = (all: ReadonlyArray<Measured>): Measured =>
  all.reduce((a, b) => (b.samplesPerSecond > a.samplesPerSecond ? b : a))

export default async (print: (line: string) => void = console.log): Promise<void> => {
  build()
  const server = spawn(process.execPath, [...nodeArgs, file("sampling/server.ts")], {
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  try {
    const url = await firstLine(server)
    const node = (script: string) =>
      measured(process.execPath, [...published, file(script), url, String(count), String(inFlight)])
    const sdks: Array<Measured> = []
    const bares: Array<Measured> = []
    for (let round = 0; round < rounds; round++) {
      bares.push(await node("sampling/bare.ts"))
      sdks.push(await node("sampling/sdk.ts"))
    }
    const python = [
      process.env["PYTHON"],
      file("../../interop/.venv/bin/python"),
      file("../../interop/.venv/Scripts/python.exe")
    ].find((path) => path !== undefined && existsSync(path))
    const official =
      python === undefined
        ? undefined
        : await measured(python, [file("../python/sampling_baseline.py"), url, String(count), String(inFlight)])

    const [sdk, bare] = [best(sdks), best(bares)]
    print(`${count} samples, ${inFlight} in flight`)
    const row = (name: string, m: Measured) =>
      print(
        [
          name.padEnd(18),
          `${m.samplesPerSecond.toFixed(0)} samples/s`.padStart(18),
          `p50 ${m.p50Millis.toFixed(0)} ms`.padStart(14),
          `p99 ${m.p99Millis.toFixed(0)} ms`.padStart(14),
          `${m.cpuMicrosPerSample.toFixed(0)} µs CPU`.padStart(14),
          `${m.peakMiB.toFixed(0)} MiB`.padStart(10)
        ].join("")
      )
    row("SDK", sdk)
    row("bare undici", bare)
    if (official !== undefined) row("official client", official)
    print(figure("sampling", sdk.samplesPerSecond, "1/s", { name: "bare undici", value: bare.samplesPerSecond }))
    print(figure("sampling.cpu", sdk.cpuMicrosPerSample, "µs", { name: "bare undici", value: bare.cpuMicrosPerSample }))
    print(figure("sampling.p50", sdk.p50Millis, "ms", { name: "bare undici", value: bare.p50Millis }))
    print(figure("sampling.p99", sdk.p99Millis, "ms", { name: "bare undici", value: bare.p99Millis }))
    print(figure("sampling.memory", sdk.peakMiB, "MiB", { name: "bare undici", value: bare.peakMiB }))
    if (official !== undefined) {
      const baseline = { name: "official client", value: official.samplesPerSecond }
      print(figure("sampling.official", sdk.samplesPerSecond, "1/s", baseline))
    }
  } finally {
    server.kill()
  }
}
