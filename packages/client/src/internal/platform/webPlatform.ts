/** The platform that a program runs on: a browser, or any other runtime but Node, Bun and Deno. */
import type { Platform } from "./platform.ts"

const { navigator } = globalThis as { readonly navigator?: { readonly userAgent?: string } }

/** @internal */
export const platform: Platform = {
  os: "Unknown",
  arch: "unknown",
  runtime: navigator?.userAgent === undefined ? "unknown" : "browser",
  runtimeVersion: "unknown",
  telemetrySystem: "Unknown",
  process: undefined,
  makeHash: () => undefined
}
