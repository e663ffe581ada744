/** Records who uses the service, and since when. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"

/** @internal */
export interface Users {
  /** Records a user who is not known. The record is committed with the next group. */
  readonly note: (user: string | undefined) => Effect.Effect<void, Store.StoreError>
  /** How many users have created a session, ever. */
  readonly count: Effect.Effect<number, Store.StoreError>
}

/** @internal */
export const make = ({ users }: Store.Service): Users => {
  const known = new Set<string>()
  return {
    note: (id) =>
      Effect.gen(function* () {
        if (id === undefined || known.has(id)) return
        if ((yield* users.get({ id })) === undefined) {
          yield* users.later.put({ id, first_seen: yield* Clock.currentTimeMillis })
        }
        known.add(id)
      }),
    count: Effect.map(users.list(), (rows) => rows.length)
  }
}
