/** The platform that a program runs on: Node, Bun or Deno. */
import { createHash } from "node:crypto"
import { hostname } from "node:os"
import type { Hash, Platform, ProcessInfo } from "./platform.ts"

interface Globals {
  readonly process?: {
    readonly platform?: string
    readonly arch?: string
    readonly versions?: Record<string, string>
    readonly pid?: number
    readonly kill?: (pid: number, signal: 0) => boolean
  }
}

const { process: running = {} } = globalThis as unknown as Globals
const { arch, platform: system, versions = {} } = running

const systems: Record<string, string> = {
  aix: "Other:aix",
  android: "Android",
  darwin: "MacOS",
  freebsd: "FreeBSD",
  linux: "Linux",
  openbsd: "OpenBSD",
  win32: "Windows"
}

const telemetrySystems: Record<string, string> = { darwin: "Darwin", win32: "Windows", linux: "Linux" }

const architectures: Record<string, string> = { ia32: "x32", x64: "x64", arm: "arm", arm64: "arm64" }

// Deno and Bun name Node's version as well
const runtime = ["deno", "bun", "node"].find((name) => versions[name] !== undefined)

/** Signal 0 only asks whether a process exists; a process of another user may not be asked, and so exists. */
const isRunning = (pid: number): boolean => {
  try {
    return running.kill?.(pid, 0) ?? true
  } catch (error) {
    return (error as { readonly code?: string }).code === "EPERM"
  }
}

const thisProcess = (): ProcessInfo | undefined =>
  running.pid === undefined ? undefined : { pid: running.pid, host: hostname(), isRunning }

const makeHash = (algorithm: string): Hash => {
  const hash = createHash(algorithm)
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("base64") }
}

/** @internal */
export const platform: Platform = {
  os: system === undefined ? "Unknown" : (systems[system] ?? `Other:${system}`),
  arch: arch === undefined ? "unknown" : (architectures[arch] ?? `other:${arch}`),
  runtime: runtime ?? "unknown",
  runtimeVersion: runtime === undefined ? "unknown" : versions[runtime]!,
  telemetrySystem: telemetrySystems[system ?? ""] ?? "Unknown",
  process: thisProcess(),
  makeHash
}
