/** Hashes and signs with SHA-256, as hexadecimal text. */
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"

const toHex = (bytes: ArrayBuffer): string => Encoding.encodeHex(new Uint8Array(bytes))

/** @internal */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)

/** @internal */
export const sha256 = (bytes: Uint8Array): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)),
    toHex
  )

/** Signs a message. @internal */
export type Sign = (message: string) => Effect.Effect<string>

const algorithm = { name: "HMAC", hash: "SHA-256" }

const importSecret = (secret: string) =>
  Effect.promise(() => crypto.subtle.importKey("raw", utf8(secret), algorithm, false, ["sign"]))

/** Signs messages with an HMAC of the secret. @internal */
export const makeSign = (secret: string): Effect.Effect<Sign> =>
  Effect.map(
    Effect.cached(importSecret(secret)),
    (key) => (message) =>
      Effect.flatMap(key, (imported) =>
        Effect.map(
          Effect.promise(() => crypto.subtle.sign(algorithm, imported, utf8(message))),
          toHex
        )
      )
  )
