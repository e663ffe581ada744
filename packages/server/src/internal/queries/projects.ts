/** Finds the session and the project of a training run. */
import * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"
import type { ServiceState } from "./serviceState.ts"

/** The project of sessions that were not assigned to any. @internal */
export const defaultProject = "default"

/** The session in whose id the id of a training run starts. @internal */
export const sessionOfRun = (run: string): string | undefined => /^(.+):train:\d+$/.exec(run)?.[1]

/** The sessions that the store knows, by id. @internal */
export type SessionRows = ReadonlyMap<string, Store.SessionRow>

/** All sessions of the user and of nobody; of all users if the user is not given. @internal */
export const sessionRows = ({ records }: ServiceState, ownedBy?: string | undefined): Effect.Effect<SessionRows> =>
  Effect.map(Effect.orDie(records.sessions.list({ ownedBy })), (rows) => new Map(rows.map((row) => [row.id, row])))

/** @internal */
export const projectOfSession = (sessions: SessionRows, session: string | undefined): string =>
  sessions.get(session ?? "")?.project_id ?? defaultProject

/** @internal */
export const projectOfRun = (sessions: SessionRows, run: string): string =>
  projectOfSession(sessions, sessionOfRun(run))
