/** Starts `tinker serve` as a process of its own, and ends it. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundleProgram } from "../scripts/bundle-program.mjs"
import { FallsShort, root } from "./attack.ts"
import { Client } from "./client.ts"

export interface Options {
  readonly args?: ReadonlyArray<string>
  readonly env?: { readonly [name: string]: string }
  /** keeps the checkpoints of an earlier service */
  readonly directory?: string
}

export interface Service extends Client {
  readonly child: ChildProcess
  readonly directory: string
  /** all that it printed */
  readonly output: () => string
  /** Resolves with the exit code, or the name of the signal, once it has ended. */
  readonly ended: Promise<number | string>
}

const bin = await bundleProgram(join(root, "packages/cli/src/bin.ts"))

const nothing = { TINKER_API_KEY: "", TINKER_BASE_URL: "", TINKER_SERVE_KEYS: "", TINKER_CREDENTIAL_CMD: "" }

/** Runs the command of the checkout. */
export const tinker = (
  args: ReadonlyArray<string>,
  { cwd, env = {} }: { readonly cwd: string; readonly env?: { readonly [name: string]: string } }
): ChildProcess =>
  spawn(process.execPath, [bin, ...args], {
    cwd,
    env: { ...process.env, ...nothing, HOME: cwd, ...env }
  })

const directories: Array<string> = []
const running = new Set<ChildProcess>()

/** A directory that is removed at the end. */
export const makeDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "attack-"))
  directories.push(directory)
  return directory
}

/** Ends all processes that are left, and removes their directories. */
export const cleanUp = (): void => {
  for (const child of running) child.kill("SIGKILL")
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
}

/** All that a command prints, and its exit code. */
export const collect = async (child: ChildProcess, timeout = 120_000) => {
  running.add(child)
  let stdout = ""
  let stderr = ""
  child.stdout!.on("data", (chunk) => void (stdout += String(chunk)))
  child.stderr!.on("data", (chunk) => void (stderr += String(chunk)))
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout)
  const code = await new Promise<number | string>((resolve) =>
    child.on("close", (code, signal) => resolve(code ?? signal ?? 0))
  )
  clearTimeout(timer)
  running.delete(child)
  return { code, stdout, stderr }
}

/** Starts a service in its default configuration, but for its port and its directory. */
export const start = async ({ args = [], directory = makeDirectory(), env = {} }: Options = {}): Promise<Service> => {
  const child = tinker(["-f", "json", "serve", "--port", "0", ...args], { cwd: directory, env })
  running.add(child)
  let output = ""
  const ended = new Promise<number | string>((resolve) =>
    child.on("close", (code, signal) => {
      running.delete(child)
      resolve(code ?? signal ?? 0)
    })
  )
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: unknown) => {
      output += String(chunk)
      const found = /"TINKER_BASE_URL": "([^"]+)"/.exec(output)
      if (found !== null) resolve(found[1]!)
    }
    child.stdout!.on("data", read)
    child.stderr!.on("data", read)
    void ended.then((code) => reject(new FallsShort(`the service did not start (${code}): ${output.slice(0, 500)}`)))
  })
  return Object.assign(new Client(url), { child, directory, ended, output: () => output })
}

/** Ends a service at once. */
export const kill = async ({ child, ended }: Service): Promise<void> => {
  child.kill("SIGKILL")
  await ended
}

/** Runs an attack with a service of its own. */
export const withService = async <A>(use: (service: Service) => Promise<A>, options?: Options): Promise<A> => {
  const service = await start(options)
  try {
    return await use(service)
  } finally {
    await kill(service)
  }
}

/** The memory of a process in MiB: now, and at its peak. */
export const memoryOf = ({ child }: Service): { readonly now: number; readonly peak: number } => {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8")
  const of = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024)
  return { now: of("VmRSS"), peak: of("VmHWM") }
}
