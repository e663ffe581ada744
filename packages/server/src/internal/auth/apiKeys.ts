/** Authenticates requests: which user an API key or a token belongs to. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { DurationInput } from "../util/duration.ts"
import * as responses from "../util/responses.ts"
import { sha256, type Sign, utf8 } from "../util/sha256.ts"
import * as currentUser from "./currentUser.ts"
import * as signing from "./signing.ts"
import * as tokens from "./tokens.ts"

/** @internal */
export interface Service {
  /** Whether users may exchange their key for tokens. */
  readonly issuesTokens: boolean
  /** The user of a key or token; `undefined` if it is wrong. */
  readonly identify: (credential: string | undefined) => Effect.Effect<currentUser.User | undefined>
  /** Runs an effect that may also read the checkpoints of the user whose key or token is given. */
  readonly withAccess: <A, E>(
    effect: Effect.Effect<A, E>,
    accessToken: string | undefined
  ) => Effect.Effect<A, E | responses.OperationRejection>
  /** Issues a token for the current user; `undefined` if the service issues none. */
  readonly token: Effect.Effect<string | undefined>
}

/** @internal */
export class ApiKeys extends Context.Tag("@effect-tinker/server/internal/ApiKeys")<ApiKeys, Service>() {}

/** The keys of a service, and the user of each, in the same order. */
interface Accounts {
  readonly keys: signing.Keys
  readonly users: ReadonlyArray<currentUser.User>
  readonly sign: Sign
  /** absent if the service issues no tokens */
  readonly tokenLifetime: DurationInput | undefined
}

/** Users are named after a part of their key's hash. @internal */
export const userOf = (key: Redacted.Redacted<string>): Effect.Effect<string> =>
  Effect.map(sha256(utf8(Redacted.value(key))), (hash) => `user-${hash.slice(0, 12)}`)

const identify = (
  { keys, sign, tokenLifetime, users }: Accounts,
  credential: string | undefined
): Effect.Effect<currentUser.User | undefined> => {
  if (keys.length === 0) return Effect.succeed(currentUser.everyone)
  const index = signing.indexOf(keys, credential)
  if (index >= 0) return Effect.succeed(users[index])
  if (tokenLifetime === undefined || credential === undefined || !tokens.isToken(credential)) {
    return Effect.succeed(undefined)
  }
  return Effect.map(tokens.verify(sign, credential), (subject) => users.find(({ id }) => id === subject))
}

const withAccess = <A, E>(
  accounts: Accounts,
  effect: Effect.Effect<A, E>,
  accessToken: string | undefined
): Effect.Effect<A, E | responses.OperationRejection> =>
  accessToken === undefined
    ? effect
    : Effect.flatMap(
        Effect.all([identify(accounts, accessToken), currentUser.CurrentUser]),
        ([owner, user]): Effect.Effect<A, E | responses.OperationRejection> =>
          owner === undefined
            ? responses.forbidden("the weights access token is not a key of this service")
            : Effect.provideService(effect, currentUser.CurrentUser, { ...user, delegatedReadAs: owner.id })
      )

const issueToken = ({ sign, tokenLifetime }: Accounts): Effect.Effect<string | undefined> =>
  Effect.flatMap(currentUser.CurrentUser, ({ id }) =>
    tokenLifetime === undefined || id === undefined ? Effect.succeed(undefined) : tokens.issue(sign, id, tokenLifetime)
  )

/** Every key is a user. With a lifetime, users may exchange their key for tokens. @internal */
export const layer = (keys: signing.Keys, tokenLifetime: DurationInput | undefined): Layer.Layer<ApiKeys> =>
  Layer.effect(
    ApiKeys,
    Effect.gen(function* () {
      const sign = yield* signing.makeKeySign(keys, "tokens")
      const users = yield* Effect.forEach(keys, (key) => Effect.map(userOf(key), (id) => ({ id })))
      const accounts: Accounts = { keys, users, sign, tokenLifetime }
      return {
        issuesTokens: tokenLifetime !== undefined,
        identify: (credential) => identify(accounts, credential),
        withAccess: (effect, accessToken) => withAccess(accounts, effect, accessToken),
        token: issueToken(accounts)
      }
    })
  )
