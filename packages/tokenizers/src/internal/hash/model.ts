/** The interface of incremental SHA hashes. */

/** A hash of bytes that arrive in parts. @internal */
export interface Hash {
  readonly update: (bytes: Uint8Array) => void
  /** the hash in hexadecimal; call it once, last */
  readonly digest: () => string
}

/** @internal */
export type Algorithm = "sha1" | "sha256"

/** @internal */
export type MakeHash = (algorithm: Algorithm) => Hash
