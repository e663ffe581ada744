import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as currentUser from "./currentUser.ts"
import * as responses from "../util/responses.ts"

/** Compares in a time that depends on the length of `given` alone. */
const equal = (expected: Uint8Array, given: Uint8Array): boolean => {
  let difference = expected.length ^ given.length
  for (let i = 0; i < given.length; i++) difference |= (expected[i % expected.length] ?? 0) ^ given[i]!
  return difference === 0
}

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text))

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

/** Whether a text is one of those that are allowed; all of them are compared. @internal */
export const isAllowed = (keys: ReadonlyArray<Redacted.Redacted<string>>, given: string | undefined): boolean =>
  indexOf(keys, given) >= 0

const indexOf = (keys: ReadonlyArray<Redacted.Redacted<string>>, given: string | undefined): number => {
  const bytes = utf8(given ?? "")
  let found = -1
  for (const [index, key] of keys.entries()) {
    const expected = utf8(Redacted.value(key))
    if (expected.length > 0 && equal(expected, bytes)) found = index
  }
  return found
}

/** Signs texts so that only those who know the keys can. @internal */
export const makeSign = (keys: ReadonlyArray<Redacted.Redacted<string>>, purpose: string) => {
  const algorithm = { name: "HMAC", hash: "SHA-256" }
  const secret = utf8([`effect-tinker ${purpose}`, ...keys.map(Redacted.value)].join("\n"))
  return Effect.map(
    Effect.cached(Effect.promise(() => crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]))),
    (key) => (message: string) =>
      Effect.flatMap(key, (imported) =>
        Effect.map(
          Effect.promise(() => crypto.subtle.sign(algorithm, imported, utf8(message))),
          hex
        )
      )
  )
}

/** Who may ask, and as whom. @internal */
export interface ApiKeys {
  /** the user that a key, or a token, stands for */
  readonly identify: (given: string | undefined) => Effect.Effect<currentUser.User | undefined>
  /** Lets the caller read what belongs to the user of another key, or token, where one is given. */
  readonly withAccess: <A, E>(
    effect: Effect.Effect<A, E>,
    given: string | undefined
  ) => Effect.Effect<A, E | responses.OperationRejection>
  /** a token for the caller; `undefined` where there are none */
  readonly token: Effect.Effect<string | undefined>
}

const header = Encoding.encodeBase64Url(JSON.stringify({ alg: "HS256", typ: "JWT" }))

/**
 * Every key is a user, who is told from others by a part of the key's hash. With a lifetime, tokens can be had for keys.
 *
 * @internal
 */
export const make = (
  keys: ReadonlyArray<Redacted.Redacted<string>>,
  tokenLifetime?: Duration.DurationInput | undefined
): Effect.Effect<ApiKeys> =>
  Effect.gen(function* () {
    const sign = yield* makeSign(keys, "tokens")
    const users = yield* Effect.forEach(keys, (key) =>
      Effect.map(
        Effect.promise(() => crypto.subtle.digest("SHA-256", utf8(Redacted.value(key)))),
        (digest): currentUser.User => ({ id: `user-${hex(digest).slice(0, 12)}` })
      )
    )
    const seconds = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000))

    const fromToken = Effect.fnUntraced(function* (given: string) {
      const [head, payload, signature = "", ...rest] = given.split(".")
      if (head !== header || payload === undefined || rest.length > 0) return undefined
      const expected = Redacted.make(yield* sign(`${head}.${payload}`))
      if (!isAllowed([expected], signature)) return undefined
      const claims = Either.flatMap(Encoding.decodeBase64UrlString(payload), (text) =>
        Either.try(() => JSON.parse(text) as { readonly sub: string; readonly exp: number })
      )
      if (Either.isLeft(claims) || claims.right.exp <= (yield* seconds)) return undefined
      return users.find(({ id }) => id === claims.right.sub)
    })

    const identify: ApiKeys["identify"] = (given) => {
      if (keys.length === 0) return Effect.succeed(currentUser.everyone)
      const index = indexOf(keys, given)
      if (index >= 0) return Effect.succeed(users[index])
      return tokenLifetime !== undefined && given?.startsWith("eyJ") === true
        ? fromToken(given)
        : Effect.succeed(undefined)
    }

    return {
      identify,
      withAccess: <A, E>(effect: Effect.Effect<A, E>, given: string | undefined) =>
        given === undefined
          ? effect
          : Effect.flatMap(
              Effect.all([identify(given), currentUser.CurrentUser]),
              ([other, user]): Effect.Effect<A, E | responses.OperationRejection> =>
                other === undefined
                  ? responses.forbidden("the weights access token is no key of this service")
                  : Effect.provideService(effect, currentUser.CurrentUser, { ...user, delegatedReadAs: other.id })
            ),
      token: Effect.gen(function* () {
        const { id: sub } = yield* currentUser.CurrentUser
        if (tokenLifetime === undefined || sub === undefined) return undefined
        const iat = yield* seconds
        const claims = { iss: "effect-tinker", sub, iat, exp: iat + Math.ceil(Duration.toSeconds(tokenLifetime)) }
        const signed = `${header}.${Encoding.encodeBase64Url(JSON.stringify(claims))}`
        return `${signed}.${yield* sign(signed)}`
      })
    }
  })
