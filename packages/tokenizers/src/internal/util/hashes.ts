/** SHA hashes in hexadecimal, as the Hugging Face hub names the contents of files. */
import * as Effect from "effect/Effect"

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const digest = (algorithm: "SHA-1" | "SHA-256", bytes: Uint8Array) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest(algorithm, bytes as Uint8Array<ArrayBuffer>)),
    hex
  )

/** @internal */
export const sha256 = (bytes: Uint8Array): Effect.Effect<string> => digest("SHA-256", bytes)

/** The id that git gives to a blob with this content. @internal */
export const gitBlob = (bytes: Uint8Array): Effect.Effect<string> => {
  const header = new TextEncoder().encode(`blob ${bytes.length}\0`)
  const blob = new Uint8Array(header.length + bytes.length)
  blob.set(header)
  blob.set(bytes, header.length)
  return digest("SHA-1", blob)
}
