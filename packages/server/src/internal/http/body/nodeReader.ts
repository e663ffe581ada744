/** Reads the bodies of Node's requests, so that a response to a body that is too large still reaches the sender. */
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import * as currentUser from "../../auth/currentUser.ts"
import { concatBytes } from "../byteStreams.ts"
import * as budget from "./budget.ts"
import type { BodyFailure, ReadBody } from "./reader.ts"

/** A body that is arriving. It calls back once; until then, its listeners are attached. */
class Incoming {
  readonly #source: IncomingMessage
  readonly #limit: number
  readonly #hold: (bytes: number) => boolean
  readonly #onDone: (outcome: Uint8Array | BodyFailure) => void
  #chunks: Array<Uint8Array> = []
  #received = 0

  constructor(
    source: IncomingMessage,
    limit: number,
    hold: (bytes: number) => boolean,
    onDone: (outcome: Uint8Array | BodyFailure) => void
  ) {
    this.#source = source
    this.#limit = limit
    this.#hold = hold
    this.#onDone = onDone
    source.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onLost).on("close", this.#onLost)
  }

  /** Discards what was received, and what is still to come. */
  readonly discard = (): void => {
    this.#detach()
    this.#chunks = []
    // Destroying the request would close the connection before the response is sent.
    this.#source.resume()
  }

  #detach(): void {
    this.#source.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onLost).off("close", this.#onLost)
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#received += chunk.length
    const failure = this.#received > this.#limit ? "TooLarge" : this.#hold(chunk.length) ? undefined : "NoRoom"
    if (failure === undefined) {
      this.#chunks.push(chunk)
      return
    }
    this.discard()
    this.#onDone(failure)
  }

  readonly #onEnd = (): void => {
    this.#detach()
    this.#onDone(concatBytes(this.#chunks))
  }

  readonly #onLost = (): void => {
    this.#detach()
    this.#onDone("Incomplete")
  }
}

const readSource = (
  request: Parameters<ReadBody>[0],
  limit: number,
  hold: (bytes: number) => boolean
): Effect.Effect<Uint8Array, BodyFailure> =>
  Effect.async<Uint8Array, BodyFailure>((resume) => {
    const source = request.source as IncomingMessage
    if (Number(request.headers["content-length"] ?? 0) > limit) {
      source.resume()
      return resume(Effect.fail("TooLarge"))
    }
    if (source.readableEnded) return resume(Effect.succeed(new Uint8Array(0)))
    if (source.destroyed) return resume(Effect.fail("Incomplete"))
    const incoming = new Incoming(source, limit, hold, (outcome) =>
      resume(typeof outcome === "string" ? Effect.fail(outcome) : Effect.succeed(outcome))
    )
    return Effect.sync(incoming.discard)
  })

/** Counts what arrives in the lease of the request. @internal */
export const readNodeBody: ReadBody = (request, limit) =>
  Effect.flatMap(budget.CurrentLease, (lease) =>
    Effect.flatMap(currentUser.CurrentUser, ({ id }) => readSource(request, limit, (bytes) => lease.add(id, bytes)))
  )
