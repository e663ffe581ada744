/** What the error codes of Node and undici mean for a user: certificates, names of hosts, connections. */
import * as Predicate from "effect/Predicate"

const maxDepth = 6

/** An error and its causes, the outermost first. @internal */
export const causesOf = (error: unknown): ReadonlyArray<unknown> => {
  const causes: Array<unknown> = []
  let current = error
  while (current !== undefined && current !== null && causes.length < maxDepth) {
    causes.push(current)
    current = Predicate.hasProperty(current, "cause") ? current.cause : undefined
  }
  return causes
}

/** The first error code among these errors. @internal */
export const codeOf = (causes: ReadonlyArray<unknown>): string | undefined => {
  for (const cause of causes) {
    if (Predicate.hasProperty(cause, "code") && typeof cause.code === "string") return cause.code
  }
  return undefined
}

const trustIt = "if it is right, set NODE_EXTRA_CA_CERTS to a file with the certificate of its authority"

const certificates: { readonly [code: string]: string } = {
  DEPTH_ZERO_SELF_SIGNED_CERT: `its certificate is self-signed: ${trustIt}`,
  SELF_SIGNED_CERT_IN_CHAIN: `its certificate is signed by an authority that is not trusted: ${trustIt}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `its certificate is signed by an unknown authority: ${trustIt}`,
  UNABLE_TO_GET_ISSUER_CERT: `its certificate is signed by an unknown authority: ${trustIt}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `its certificate is signed by an unknown authority: ${trustIt}`,
  CERT_UNTRUSTED: `its certificate is not trusted: ${trustIt}`,
  CERT_HAS_EXPIRED: "its certificate has expired: check the clock of this computer, or have the certificate renewed",
  CERT_NOT_YET_VALID: "its certificate is not valid yet: check the clock of this computer",
  CERT_REVOKED: "its certificate was revoked: ask its operator",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host: check the URL"
}

const noTls = "it does not speak TLS there: check the port, or write http:// if it has no certificate"

const connections: { readonly [code: string]: string } = {
  ECONNREFUSED: "nothing listens there: check that it runs, and its URL",
  ENOTFOUND: "its host name is unknown: check the URL",
  EAI_AGAIN: "its host name could not be looked up: check the network",
  EHOSTUNREACH: "there is no route to it: check the network",
  ENETUNREACH: "there is no route to it: check the network",
  ECONNRESET: "the connection was lost",
  EPIPE: "the connection was lost",
  UND_ERR_SOCKET: "the connection was lost",
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  EPROTO: noTls
}

/** What is wrong with a certificate, and what to do; `undefined` if the code is none of a certificate. @internal */
export const certificateProblem = (code: string): string | undefined =>
  Object.hasOwn(certificates, code) ? `${certificates[code]} (${code})` : undefined

/** Why there is no connection, and what to do; `undefined` if the code does not say. @internal */
export const connectionProblem = (code: string): string | undefined =>
  Object.hasOwn(connections, code) ? `${connections[code]} (${code})` : undefined
