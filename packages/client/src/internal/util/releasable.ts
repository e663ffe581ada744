/** Anything that is acquired and must be released, such as a permit or a request in flight. */

/** A second release does nothing. @internal */
export interface Releasable {
  readonly release: () => void
}
