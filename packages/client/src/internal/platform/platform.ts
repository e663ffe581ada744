/**
 * The platform that the client runs on: its name, processes and hashes. `#platform` is one of the two modules beside
 * this one.
 */

/** A process of this computer. @internal */
export interface ProcessInfo {
  readonly pid: number
  readonly host: string
  readonly isRunning: (pid: number) => boolean
}

/** A hash of bytes that arrive in parts. @internal */
export interface Hash {
  readonly update: (bytes: Uint8Array) => void
  /** in base64 */
  readonly digest: () => string
}

/** @internal */
export interface Platform {
  readonly os: string
  readonly arch: string
  readonly runtime: string
  readonly runtimeVersion: string
  /** the operating system by the name that telemetry has for it */
  readonly telemetrySystem: string
  /** the running process; `undefined` in browsers */
  readonly process: ProcessInfo | undefined
  /** `undefined` where the runtime has no such hash for bytes in parts */
  readonly makeHash: (algorithm: "md5" | "sha256" | "sha512") => Hash | undefined
}
