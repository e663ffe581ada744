/** Assigns sessions to projects. */
import * as Effect from "effect/Effect"
import type { Query, ServiceState } from "../queries/serviceState.ts"
import { getOwnRecord } from "../queries/sessions.ts"
import * as responses from "../util/responses.ts"

/** Assigns a session to a project. It cannot be moved again. @internal */
export const assignProject = (state: ServiceState, id: string, project: string): Query<void> =>
  Effect.flatMap(getOwnRecord(state, id), (record): Query<void> => {
    if (record.project_id !== undefined && record.project_id !== project) {
      return responses.conflict(`session ${id} is in project ${record.project_id} already`)
    }
    record.project_id = project
    return Effect.void
  })
