/**
 * 20,000 samples with 2,000 in flight, against a scripted service in another process. It compares
 *
 * - the SDK over `NodeHttpClient`,
 * - the SDK over a `NodeHttpClient` that `HttpClient.mapRequest` wraps, and over one with a `transformRequest`,
 * - a bare undici loop that sends the same two requests for each sample,
 * - the official Python client, where interop/record.py has installed it or PYTHON names a Python that has it.
 *
 * It also states what the headers of the trace cost a request.
 *
 * Each runs in its own process, in rounds (the official client once, since it takes a minute); the fastest round counts.
 * The SDK is built first, and run as it is published. `SAMPLES` and `IN_FLIGHT` set other numbers.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { figure } from "./figure.ts"
import { propagationMicros } from "./sampling/propagation.ts"
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

const cases = ["bare", "sdk", "wrapped", "transformed"] as const
type Case = (typeof cases)[number]

/** Runs the cases in rounds, so that other load on the machine affects all of them alike. */
const measureCases = async (url: string): Promise<Record<Case, Measured>> => {
  const measurements: Record<Case, Array<Measured>> = { bare: [], sdk: [], wrapped: [], transformed: [] }
  for (let round = 0; round < rounds; round++) {
    for (const name of cases) {
      const args = [...published, file(`sampling/${name}.ts`), url, String(count), String(inFlight)]
      measurements[name].push(await measured(process.execPath, args))
    }
  }
  return {
    bare: best(measurements.bare),
    sdk: best(measurements.sdk),
    wrapped: best(measurements.wrapped),
    transformed: best(measurements.transformed)
  }
}

const measureOfficial = async (url: string): Promise<Measured | undefined> => {
  const python = [
    process.env["PYTHON"],
    file("../../interop/.venv/bin/python"),
    file("../../interop/.venv/Scripts/python.exe")
  ].find((path) => path !== undefined && existsSync(path))
  return python === undefined
    ? undefined
    : await measured(python, [file("../python/sampling_baseline.py"), url, String(count), String(inFlight)])
}

const row = (name: string, m: Measured): string =>
  [
    name.padEnd(26),
    `${m.samplesPerSecond.toFixed(0)} samples/s`.padStart(18),
    `p50 ${m.p50Millis.toFixed(0)} ms`.padStart(14),
    `p99 ${m.p99Millis.toFixed(0)} ms`.padStart(14),
    `${m.cpuMicrosPerSample.toFixed(0)} µs CPU`.padStart(14),
    `${m.peakMiB.toFixed(0)} MiB`.padStart(10)
  ].join("")

const printFigures = (
  print: (line: string) => void,
  { bare, sdk, transformed, wrapped }: Record<Case, Measured>,
  official: Measured | undefined
) => {
  const against = (name: string, value: number, unit: string, baseline: number) =>
    print(figure(name, value, unit, { name: "bare undici", value: baseline }))
  against("sampling", sdk.samplesPerSecond, "1/s", bare.samplesPerSecond)
  against("sampling.cpu", sdk.cpuMicrosPerSample, "µs", bare.cpuMicrosPerSample)
  against("sampling.p50", sdk.p50Millis, "ms", bare.p50Millis)
  against("sampling.p99", sdk.p99Millis, "ms", bare.p99Millis)
  against("sampling.memory", sdk.peakMiB, "MiB", bare.peakMiB)
  against("sampling.wrapped", wrapped.samplesPerSecond, "1/s", bare.samplesPerSecond)
  against("sampling.wrapped.cpu", wrapped.cpuMicrosPerSample, "µs", bare.cpuMicrosPerSample)
  against("sampling.transformed.cpu", transformed.cpuMicrosPerSample, "µs", bare.cpuMicrosPerSample)
  if (official === undefined) return
  const baseline = { name: "official client", value: official.samplesPerSecond }
  print(figure("sampling.official", sdk.samplesPerSecond, "1/s", baseline))
}

export default async (print: (line: string) => void = console.log): Promise<void> => {
  build()
  const server = spawn(process.execPath, [...nodeArgs, file("sampling/server.ts")], {
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  try {
    const url = await firstLine(server)
    const measurements = await measureCases(url)
    const official = await measureOfficial(url)
    print(`${count} samples, ${inFlight} in flight`)
    print(row("SDK", measurements.sdk))
    print(row("SDK, wrapped HttpClient", measurements.wrapped))
    print(row("SDK, transformRequest", measurements.transformed))
    print(row("bare undici", measurements.bare))
    if (official !== undefined) print(row("official client", official))
    printFigures(print, measurements, official)
    const baseline = { name: "CPU of a sample", value: measurements.sdk.cpuMicrosPerSample }
    print(figure("sampling.propagation", propagationMicros(), "µs", baseline))
  } finally {
    server.kill()
  }
}
