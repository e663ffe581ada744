/** The tables of the database, by version of its format. */
import * as Effect from "effect/Effect"
import { StoreError } from "../model.ts"
import type { Database } from "./database.ts"

/**
 * The statements that lead from each version to the next. Those of a version that was released never change; a change
 * of the tables is another entry. Both databases understand them.
 */
const versions: ReadonlyArray<ReadonlyArray<string>> = [
  [
    `CREATE TABLE "tinker_sessions" ("id" TEXT PRIMARY KEY, "owner" TEXT, "created_at" BIGINT NOT NULL,
      "user_metadata" TEXT, "display_name" TEXT, "project_id" TEXT, "status" TEXT NOT NULL, "instance" TEXT NOT NULL,
      "last_seen" BIGINT NOT NULL)`,
    `CREATE INDEX "tinker_sessions_owner" ON "tinker_sessions" ("owner")`,
    `CREATE TABLE "tinker_runs" ("id" TEXT PRIMARY KEY, "session_id" TEXT NOT NULL, "owner" TEXT,
      "base_model" TEXT NOT NULL, "lora_config" TEXT NOT NULL, "user_metadata" TEXT, "created_at" BIGINT NOT NULL,
      "last_request" BIGINT NOT NULL, "state" TEXT NOT NULL, "steps" BIGINT NOT NULL, "saved_path" TEXT,
      "saved_steps" BIGINT NOT NULL, "instance" TEXT NOT NULL)`,
    `CREATE INDEX "tinker_runs_session" ON "tinker_runs" ("session_id")`,
    `CREATE INDEX "tinker_runs_owner" ON "tinker_runs" ("owner")`,
    `CREATE TABLE "tinker_samplers" ("id" TEXT PRIMARY KEY, "session_id" TEXT NOT NULL, "owner" TEXT,
      "base_model" TEXT NOT NULL, "model_path" TEXT, "revision" TEXT, "delegated_read_as" TEXT,
      "ephemeral" INTEGER NOT NULL, "fingerprint" TEXT, "joined" BIGINT NOT NULL, "created_at" BIGINT NOT NULL)`,
    `CREATE INDEX "tinker_samplers_session" ON "tinker_samplers" ("session_id")`,
    `CREATE TABLE "tinker_checkpoints" ("path" TEXT PRIMARY KEY, "training_run_id" TEXT NOT NULL, "owner" TEXT,
      "created_at" BIGINT NOT NULL, "expires_at" BIGINT, "info" TEXT NOT NULL)`,
    `CREATE INDEX "tinker_checkpoints_run" ON "tinker_checkpoints" ("training_run_id")`,
    `CREATE TABLE "tinker_reservations" ("path" TEXT PRIMARY KEY, "instance" TEXT NOT NULL, "action" TEXT NOT NULL,
      "revision" TEXT NOT NULL)`,
    `CREATE TABLE "tinker_uploads" ("id" TEXT PRIMARY KEY, "owner" TEXT, "request" TEXT NOT NULL,
      "expires_at" BIGINT NOT NULL, "limits" TEXT NOT NULL, "finished" TEXT)`,
    `CREATE TABLE "tinker_usage_totals" ("hour" BIGINT NOT NULL, "owner" TEXT NOT NULL, "session_id" TEXT NOT NULL,
      "base_model" TEXT NOT NULL, "type" TEXT NOT NULL, "count" BIGINT NOT NULL,
      PRIMARY KEY ("hour", "owner", "session_id", "base_model", "type"))`,
    `CREATE TABLE "tinker_audit_log" ("id" TEXT PRIMARY KEY, "owner" TEXT, "recorded_at" BIGINT NOT NULL,
      "event" TEXT NOT NULL, "details" TEXT NOT NULL)`,
    `CREATE INDEX "tinker_audit_log_time" ON "tinker_audit_log" ("recorded_at")`,
    `CREATE TABLE "tinker_users" ("id" TEXT PRIMARY KEY, "first_seen" BIGINT NOT NULL)`
  ]
]

/** The version of the format that this code writes. */
const latest = versions.length

const newer = (version: number) =>
  new StoreError({
    reason:
      `was written by a newer version of effect-tinker: its format is ${version}, and this version knows ` +
      `up to ${latest}. Upgrade effect-tinker, or use another directory or database`
  })

// any number: processes that start together take turns
const migrationLock = 7_316_401

const table = `"tinker_format"`

/** Brings a database to the latest version of its format. Refuses a newer one. @internal */
export const migrate = (database: Database): Effect.Effect<void, StoreError> =>
  database.transaction(
    (query) =>
      Effect.gen(function* () {
        const command = (text: string) => query({ text, parameters: [] })
        if (database.dialect === "pg") yield* command(`SELECT pg_advisory_xact_lock(${migrationLock})`)
        yield* command(`CREATE TABLE IF NOT EXISTS ${table} ("version" BIGINT PRIMARY KEY)`)
        const [row] = yield* command(`SELECT MAX("version") AS "version" FROM ${table}`)
        const version = Number(row?.["version"] ?? 0)
        if (version > latest) return yield* newer(version)
        for (let next = version + 1; next <= latest; next++) {
          for (const statement of versions[next - 1]!) yield* command(statement)
          yield* query({ text: `INSERT INTO ${table} ("version") VALUES (?)`, parameters: [next] })
        }
      }),
    true
  )
