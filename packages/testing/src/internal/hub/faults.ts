/** What goes wrong with a response of a fake hub. */
import * as Effect from "effect/Effect"
import type { DurationInput } from "../util/duration.ts"
import { type Reply, reply } from "./replies.ts"

/** @internal */
export type HubFault =
  | { readonly _tag: "Silence" }
  | { readonly _tag: "ConnectionLost" }
  | { readonly _tag: "Delay"; readonly duration: DurationInput }
  | { readonly _tag: "Respond"; readonly status: number; readonly headers: Reply["headers"]; readonly body: string }
  | { readonly _tag: "SilenceAfter"; readonly bytes: number }
  | { readonly _tag: "CutAfter"; readonly bytes: number }
  | { readonly _tag: "Truncate"; readonly bytes: number }
  | { readonly _tag: "Corrupt" }

const corrupt = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice()
  if (copy.length > 0) copy[copy.length - 1]! ^= 1
  return copy
}

/** Applies a fault to the response. Fails if the connection is lost before it. @internal */
export const apply = (fault: HubFault | undefined, whole: Reply): Effect.Effect<Reply, "ConnectionLost"> => {
  if (fault === undefined) return Effect.succeed(whole)
  switch (fault._tag) {
    case "Silence":
      return Effect.never
    case "ConnectionLost":
      return Effect.fail(fault._tag)
    case "Delay":
      return Effect.delay(Effect.succeed(whole), fault.duration)
    case "Respond":
      return Effect.succeed(reply(fault.status, fault.headers, fault.body))
    case "SilenceAfter":
      return Effect.succeed({ ...whole, body: whole.body.subarray(0, fault.bytes), ending: "silence" })
    case "CutAfter":
      return Effect.succeed({ ...whole, body: whole.body.subarray(0, fault.bytes), ending: "connectionLost" })
    case "Truncate":
      return Effect.succeed(
        reply(
          whole.status,
          { ...whole.headers, "content-length": String(Math.min(fault.bytes, whole.body.length)) },
          whole.body.subarray(0, fault.bytes)
        )
      )
    case "Corrupt":
      return Effect.succeed({ ...whole, body: corrupt(whole.body) })
  }
}
