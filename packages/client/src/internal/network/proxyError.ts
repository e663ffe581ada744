/** The failure of a proxy, as the cause of a failed request. */
import * as Data from "effect/Data"

/**
 * The proxy of a request cannot be used, cannot be reached, or refuses the request. `proxy` is its URL, without user name
 * and password, and `variable` the environment variable that names it. `status` is the one that the proxy responded with.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProxyError extends Data.TaggedError("ProxyError")<{
  readonly proxy: string
  readonly variable: string
  /** what happened and what to do */
  readonly reason: string
  readonly status?: number
  readonly cause?: unknown
}> {
  override get message(): string {
    return `the proxy ${this.proxy} (${this.variable}) ${this.reason}`
  }
}
