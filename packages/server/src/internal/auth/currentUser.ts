/** The user on whose behalf the current request runs, and whether they own a resource. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** An authenticated account. A service without API keys has one user, who owns everything. @internal */
export interface User {
  /** `undefined` is the user of a service without API keys, and the service itself */
  readonly id: string | undefined
  /** another user, whose checkpoints this one may read: the request carries that user's weights access token */
  readonly delegatedReadAs?: string | undefined
}

/** The user who owns everything: the service itself, and every caller of a service without API keys. @internal */
export const everyone: User = { id: undefined }

/** @internal */
export class CurrentUser extends Context.Reference<CurrentUser>()("@effect-tinker/server/internal/CurrentUser", {
  defaultValue: (): User => everyone
}) {}

/** Whether a user owns a resource. Everyone owns a resource without an owner. @internal */
export const owns = (user: User, owner: string | undefined): boolean =>
  user.id === undefined || owner === undefined || owner === user.id

/** The name of an owner in responses. @internal */
export const ownerName = (owner: string | undefined): string => owner ?? "local"

/**
 * Runs `found` if the current user owns the resource, else `missing`: to other users the resource does not exist.
 *
 * @internal
 */
export const authorize = <A, E>(
  owner: string | undefined,
  found: () => Effect.Effect<A, E>,
  missing: () => Effect.Effect<A, E>
): Effect.Effect<A, E> => Effect.flatMap(CurrentUser, (user) => (owns(user, owner) ? found() : missing()))
