/** What is held until it is released. */

/** A second release does nothing. @internal */
export interface Releasable {
  readonly release: () => void
}
