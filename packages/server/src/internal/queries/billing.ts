/** Reports the usage that is billed: tokens and checkpoints by the hour, and stored bytes. */
import type * as Billing from "@effect-tinker/api/Billing"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import * as projects from "./projects.ts"
import { listInfos, type ServiceState } from "./serviceState.ts"

const longestWindow = 14 * 24 * 60 * 60 * 1000

/** Usage of the current user in a window of at most 14 days. @internal */
export const getUsage = Effect.fnUntraced(function* (
  state: ServiceState,
  { ending_before, starting_on }: typeof Billing.UsageParams.Type
): Effect.fn.Return<Billing.UsageResponse, responses.OperationRejection> {
  const [from, to] = [DateTime.toEpochMillis(starting_on), DateTime.toEpochMillis(ending_before)]
  if (from >= to || to - from > longestWindow) {
    return yield* responses.badRequest("starting_on, ending_before: pass a window of 14 days at most")
  }
  const events = yield* state.usageLog.events(from, to)
  const sessions = yield* projects.sessionRows(state)
  const sessionIds = new Set(events.flatMap(({ session_id }) => session_id ?? []))
  return {
    data: events.map((event) => ({ ...event, project_id: projects.projectOfSession(sessions, event.session_id) })),
    sessions: Object.fromEntries(
      Array.from(sessionIds, (id) => [id, { user_metadata: sessions.get(id)?.user_metadata }])
    )
  }
})

/** Number and size of the current user's checkpoints. @internal */
export const getStorageUsage = (state: ServiceState): Effect.Effect<Billing.StorageUsageResponse> =>
  Effect.map(Effect.all([listInfos(state), currentUser.CurrentUser]), ([infos, user]) => {
    const own = infos.filter(({ owner }) => currentUser.owns(user, owner))
    const size_bytes = own.reduce((sum, info) => sum + info.size_bytes, 0)
    return {
      data: own.length === 0 ? [] : [{ checkpoint_count: own.length, size_bytes, size_gigabytes: size_bytes / 1e9 }]
    }
  })
