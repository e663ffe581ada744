/** What runs this program, told apart without importing any platform. */
interface Globals {
  readonly process?: { readonly platform?: string; readonly arch?: string; readonly versions?: Record<string, string> }
  readonly Deno?: { readonly version?: { readonly deno?: string } }
  readonly navigator?: { readonly userAgent?: string }
}

const globals = globalThis as unknown as Globals

const systems: Record<string, string> = {
  aix: "Other:aix",
  android: "Android",
  darwin: "MacOS",
  freebsd: "FreeBSD",
  linux: "Linux",
  openbsd: "OpenBSD",
  win32: "Windows"
}

const architectures: Record<string, string> = { ia32: "x32", x64: "x64", arm: "arm", arm64: "arm64" }

const system = globals.process?.platform
const arch = globals.process?.arch
const versions = globals.process?.versions ?? {}

const runtime: readonly [string, string] =
  globals.Deno?.version?.deno !== undefined
    ? ["deno", globals.Deno.version.deno]
    : versions["bun"] !== undefined
      ? ["bun", versions["bun"]]
      : versions["node"] !== undefined
        ? ["node", versions["node"]]
        : globals.navigator?.userAgent !== undefined
          ? ["browser", "unknown"]
          : ["unknown", "unknown"]

/** @internal */
export const platform = {
  os: system === undefined ? "Unknown" : (systems[system] ?? `Other:${system}`),
  arch: arch === undefined ? "unknown" : (architectures[arch] ?? `other:${arch}`),
  runtime: runtime[0],
  runtimeVersion: runtime[1],
  /** the system, as telemetry names it */
  system: system === "darwin" ? "Darwin" : system === "win32" ? "Windows" : system === "linux" ? "Linux" : "Unknown"
}
