import type * as Effect from "effect/Effect"

/** @internal */
export const direct: unique symbol = Symbol.for("~@effect-tinker/client/direct")

/** @internal */
export interface Outgoing {
  readonly method: string
  readonly origin: string
  /** with the query */
  readonly path: string
  /** names, in lower case, and values in turns: half of what an object takes */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | string | undefined
}

/** @internal */
export interface Incoming {
  readonly status: number
  /** names are in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/** What follows an answer, or that there is none, or not all of it. @internal */
export interface Then<A, E> {
  readonly onAnswer: (answer: Incoming) => Effect.Effect<A, E>
  readonly onNone: (cause: unknown) => Effect.Effect<A, E>
}

/**
 * The short way through an `HttpClient`, for answers that are wanted whole. It follows no redirect.
 *
 * @internal
 */
export interface Short {
  /** what each request says beside its own headers */
  readonly headers: ReadonlyArray<string>
  /**
   * It keeps the time by itself (milliseconds until the answer's head, and between any two parts of its body), so that
   * no fiber need watch each request.
   */
  readonly ask: <A, E>(request: Outgoing, millis: number, then: Then<A, E>) => Effect.Effect<A, E>
}

/** @internal */
export interface Direct {
  readonly [direct]: Short
}
