/** How the client describes the platform to the service. `#platform` is one of the two modules beside this one. */

/** @internal */
export interface Platform {
  readonly os: string
  readonly arch: string
  readonly runtime: string
  readonly runtimeVersion: string
  /** the operating system by the name that telemetry has for it */
  readonly telemetrySystem: string
}
