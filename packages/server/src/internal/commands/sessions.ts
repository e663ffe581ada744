/** Assigns sessions to projects. */
import * as Effect from "effect/Effect"
import type { Query, ServiceState } from "../queries/serviceState.ts"
import * as responses from "../util/responses.ts"
import { findRow } from "../work/sessions.ts"

/** Assigns a session to a project. It cannot be moved again. @internal */
export const assignProject = ({ records }: ServiceState, id: string, project: string): Query<void> =>
  Effect.flatMap(findRow(records, id), ({ project_id }): Query<void> =>
    project_id !== undefined && project_id !== project
      ? responses.conflict(`session ${id} is in project ${project_id} already`)
      : Effect.orDie(records.sessions.patch({ id, project_id: project }))
  )
