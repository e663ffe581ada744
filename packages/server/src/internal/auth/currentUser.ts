import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Whose request is answered; without keys everything is everyone's. @internal */
export interface User {
  /** `undefined` stands for all */
  readonly id: string | undefined
  /** another user, who lets this one read what is theirs */
  readonly readsAs?: string | undefined
}

/** The service itself, and whoever may ask it where it has no keys. @internal */
export const everyone: User = { id: undefined }

/** @internal */
export class Caller extends Context.Reference<Caller>()("@effect-tinker/server/internal/Caller", {
  defaultValue: (): User => everyone
}) {}

/** Whether something belongs to a user; what has no owner belongs to all. @internal */
export const owns = (user: User, owner: string | undefined): boolean =>
  user.id === undefined || owner === undefined || owner === user.id

/** How owners are shown. @internal */
export const shown = (owner: string | undefined): string => owner ?? "local"

/** What the caller owns, or what is said of a thing that is not there. @internal */
export const orElse = <A, E>(
  owner: string | undefined,
  found: () => Effect.Effect<A, E>,
  missing: () => Effect.Effect<A, E>
): Effect.Effect<A, E> => Effect.flatMap(Caller, (user) => (owns(user, owner) ? found() : missing()))
