/** The platform that a program runs on, for browsers and all that is not like Node. */
import type { Platform } from "./platform.ts"

const { navigator } = globalThis as { readonly navigator?: { readonly userAgent?: string } }

/** @internal */
export const platform: Platform = {
  os: "Unknown",
  arch: "unknown",
  runtime: navigator?.userAgent === undefined ? "unknown" : "browser",
  runtimeVersion: "unknown",
  telemetrySystem: "Unknown"
}
