/** The tables of the store: their columns, and which of them identify a row. */
import type * as model from "./model.ts"

/** How a column is stored. Every column may be null, but those of the key. @internal */
export type Column = "text" | "integer" | "flag" | "json"

/** @internal */
export interface Table<Row> {
  readonly name: string
  readonly key: ReadonlyArray<keyof Row & string>
  readonly columns: { readonly [K in keyof Row & string]-?: Column }
  /** the column that a row adds to when one of its key exists; other tables replace the row */
  readonly adds?: (keyof Row & string) | undefined
  /** whether the store in memory may drop a row when its owner has too many; by default rows are not dropped */
  readonly isDisposable?: ((row: Row, isActive: (session: string) => boolean) => boolean) | undefined
}

/** Whether a row is history: its session has ended. */
const hasEnded = ({ session_id }: { readonly session_id: string }, isActive: (session: string) => boolean): boolean =>
  !isActive(session_id)

/** @internal */
export const sessions: Table<model.SessionRow> = {
  name: "tinker_sessions",
  key: ["id"],
  columns: {
    id: "text",
    owner: "text",
    created_at: "integer",
    user_metadata: "json",
    display_name: "text",
    project_id: "text",
    status: "json",
    instance: "text",
    last_seen: "integer"
  },
  isDisposable: ({ status }) => status.type !== "active"
}

/** @internal */
export const runs: Table<model.RunRow> = {
  name: "tinker_runs",
  key: ["id"],
  columns: {
    id: "text",
    session_id: "text",
    owner: "text",
    base_model: "text",
    lora_config: "json",
    user_metadata: "json",
    created_at: "integer",
    last_request: "integer",
    state: "text",
    steps: "integer",
    saved_path: "text",
    saved_steps: "integer",
    instance: "text"
  },
  isDisposable: hasEnded
}

/** @internal */
export const samplers: Table<model.SamplerRow> = {
  name: "tinker_samplers",
  key: ["id"],
  columns: {
    id: "text",
    session_id: "text",
    owner: "text",
    base_model: "text",
    model_path: "text",
    revision: "text",
    delegated_read_as: "text",
    ephemeral: "flag",
    fingerprint: "text",
    joined: "integer",
    created_at: "integer"
  },
  isDisposable: hasEnded
}

/** @internal */
export const checkpoints: Table<model.CheckpointRow> = {
  name: "tinker_checkpoints",
  key: ["path"],
  columns: {
    path: "text",
    training_run_id: "text",
    owner: "text",
    created_at: "integer",
    expires_at: "integer",
    info: "json"
  }
}

/** @internal */
export const reservations: Table<model.ReservationRow> = {
  name: "tinker_reservations",
  key: ["path"],
  columns: { path: "text", instance: "text", action: "text", revision: "text" }
}

/** @internal */
export const uploads: Table<model.UploadRow> = {
  name: "tinker_uploads",
  key: ["id"],
  columns: { id: "text", owner: "text", request: "json", expires_at: "integer", limits: "json", finished: "text" }
}

/** @internal */
export const usage: Table<model.UsageRow> = {
  name: "tinker_usage_totals",
  key: ["hour", "owner", "session_id", "base_model", "type"],
  columns: {
    hour: "integer",
    owner: "text",
    session_id: "text",
    base_model: "text",
    type: "text",
    count: "integer"
  },
  adds: "count",
  isDisposable: () => true
}

/** @internal */
export const audit: Table<model.AuditRow> = {
  name: "tinker_audit_log",
  key: ["id"],
  columns: { id: "text", owner: "text", recorded_at: "integer", event: "text", details: "json" },
  isDisposable: () => true
}

/** @internal */
export const users: Table<model.UserRow> = {
  name: "tinker_users",
  key: ["id"],
  columns: { id: "text", first_seen: "integer" }
}

/** A row of any table. @internal */
export type AnyRow = { readonly [column: string]: unknown }

/** The key of a row as text. @internal */
export const keyOf = <Row>(table: Table<Row>, row: Partial<Row>): string =>
  table.key.length === 1 ? String(row[table.key[0]!]) : JSON.stringify(table.key.map((column) => row[column]))
