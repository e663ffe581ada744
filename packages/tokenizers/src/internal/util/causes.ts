/** Messages of thrown values and of failed requests. */

/** The message of a thrown value. @internal */
export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const trustAdvice = "; if it is right, set NODE_EXTRA_CA_CERTS to a file with the certificate of its authority"

/** Whether an error of Node is about a certificate whose authority is not known. */
const isOfCertificate = (error: unknown): boolean =>
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|CERT_UNTRUSTED|UNABLE_TO_.*)$/.test(
    String((error as { readonly code?: unknown } | undefined)?.code)
  )

/**
 * The reason of a failed request, from its cause. The messages of `@effect/platform` repeat the URL, which may
 * be signed.
 *
 * @internal
 */
export const requestReason = (error: { readonly reason: string; readonly cause?: unknown }): string => {
  const { cause } = error
  // the message of `fetch` itself says nothing
  const inner = cause instanceof TypeError && cause.cause instanceof Error ? cause.cause : cause
  const message = inner instanceof Error && inner.message !== "" ? inner.message : error.reason
  return `${message}${isOfCertificate(inner) ? trustAdvice : ""}`
}
