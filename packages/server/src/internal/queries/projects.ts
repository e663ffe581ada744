/** Finds the session and the project of a training run. */
import type { ServiceState } from "./serviceState.ts"

/** The project of sessions that were not assigned to any. @internal */
export const defaultProject = "default"

/** The session in whose id the id of a training run starts. @internal */
export const sessionOfRun = (run: string): string | undefined => /^(.+):train:\d+$/.exec(run)?.[1]

/** @internal */
export const projectOfSession = ({ sessions }: ServiceState, session: string | undefined): string =>
  sessions.getRecord(session ?? "")?.project_id ?? defaultProject

/** @internal */
export const projectOfRun = (state: ServiceState, run: string): string => projectOfSession(state, sessionOfRun(run))
