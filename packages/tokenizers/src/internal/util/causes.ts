/** Messages of thrown values and of failed requests. */

/** The message of a thrown value. @internal */
export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/**
 * The reason of a failed request, from its innermost cause. The messages of `@effect/platform` repeat the URL, which may
 * be signed.
 *
 * @internal
 */
export const requestReason = (error: { readonly reason: string; readonly cause?: unknown }): string => {
  const { cause } = error
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return inner instanceof Error && inner.message !== "" ? inner.message : error.reason
}
