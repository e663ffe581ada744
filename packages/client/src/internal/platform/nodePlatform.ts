/** The platform that a program runs on: Node, Bun or Deno. */
import type { Platform } from "./platform.ts"

interface Globals {
  readonly process?: { readonly platform?: string; readonly arch?: string; readonly versions?: Record<string, string> }
}

const { arch, platform: system, versions = {} } = (globalThis as unknown as Globals).process ?? {}

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

/** @internal */
export const platform: Platform = {
  os: system === undefined ? "Unknown" : (systems[system] ?? `Other:${system}`),
  arch: arch === undefined ? "unknown" : (architectures[arch] ?? `other:${arch}`),
  runtime: runtime ?? "unknown",
  runtimeVersion: runtime === undefined ? "unknown" : versions[runtime]!,
  telemetrySystem: telemetrySystems[system ?? ""] ?? "Unknown"
}
