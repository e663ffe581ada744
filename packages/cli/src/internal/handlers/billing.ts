/** Handlers of `tinker billing`. */
import type * as Billing from "@effect-tinker/api/Billing"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliError } from "../errors/cliError.ts"
import type { Global } from "../definition/global.ts"
import * as csv from "../terminal/csv.ts"
import * as files from "../util/files.ts"
import { clean } from "../text/clean.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"
import { withRest } from "../service/rest.ts"

interface Row {
  readonly [column: string]: unknown
}

const time = (at: DateTime.Utc): string => DateTime.formatIso(at).replace(/\.000Z$/, "Z")

const parseTime = (name: string, text: string) =>
  Option.match(DateTime.make(text), {
    onNone: () =>
      Effect.fail(
        new CliError({ title: `Invalid ${name}: ${text}`, details: "Give an RFC 3339 time, 2026-07-13T00:00:00Z" })
      ),
    onSome: (at) => Effect.succeed(DateTime.toUtc(at))
  })

/** A usage event with all columns, `null` where the service sends none. */
const event = (self: Billing.UsageEvent) => ({
  bucket_start: time(self.bucket_start),
  bucket_end: time(self.bucket_end),
  base_model: self.base_model ?? null,
  user_id: self.user_id ?? null,
  user_name: self.user_name ?? null,
  session_id: self.session_id ?? null,
  project_id: self.project_id ?? null,
  estimated_cost_usd: self.estimated_cost_usd ?? null,
  effective_rate_usd_per_million_tokens: self.effective_rate_usd_per_million_tokens ?? null,
  effective_rate_usd_per_gigabyte_month: self.effective_rate_usd_per_gigabyte_month ?? null,
  event_info: self.event_info
})

/** A usage event as one flat row. */
const flat = ({ event_info, ...row }: ReturnType<typeof event>): Row => ({ ...row, ...event_info })

const tokenTypes = new Set(["training", "sampling_prefill", "sampling_sample"])

/** Shows an unknown cost as "null", and leaves one that does not apply empty. */
const withUnknownCosts = (row: Row): Row => {
  const rate = tokenTypes.has(String(row["type"]))
    ? "effective_rate_usd_per_million_tokens"
    : row["type"] === "storage"
      ? "effective_rate_usd_per_gigabyte_month"
      : undefined
  return rate === undefined
    ? row
    : { ...row, estimated_cost_usd: row["estimated_cost_usd"] ?? "null", [rate]: row[rate] ?? "null" }
}

const cell = (value: unknown): string =>
  value === null || value === undefined ? "" : value === true ? "True" : value === false ? "False" : String(value)

const tableOf = (title: string, rows: ReadonlyArray<Row>) => {
  const columns = csv.columnsOf(rows)
  return { title, columns, rows: rows.map((row) => columns.map((column) => cell(row[column]))) }
}

/** Prints a table; only its title if there are no rows, and so no columns. */
const print = (format: output.Format, title: string, json: unknown, rows: ReadonlyArray<Row>) =>
  rows.length === 0
    ? output.text(format, { json, text: `${title}\n` })
    : output.print(format, { json, table: tableOf(title, rows) })

/** Writes to a file, or to standard output for `-`. Succeeds with the files written, for the JSON document. */
const writeCsv = (rows: ReadonlyArray<Row>, path: string, raw: boolean) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const text = csv.write(rows, { raw })
    if (path === "-") return yield* Effect.as(io.out(io.outIsTerminal ? clean(text, { keepLines: true }) : text), [])
    yield* files.write(path, text)
    yield* io.err(`Wrote ${rows.length} row(s) to ${path}\n`)
    return [{ path, rows: rows.length }]
  })

interface CsvOptions extends Global {
  readonly csv: Option.Option<string>
  readonly rawCsv: boolean
}

interface UsageOptions extends CsvOptions {
  readonly startingOn: string
  readonly endingBefore: string
  readonly sessionsCsv: Option.Option<string>
}

/** Writes the files of `--csv` and `--sessions-csv`. */
const writeUsage = Effect.fnUntraced(function* (options: UsageOptions, response: Billing.UsageResponse) {
  const sessions = Object.entries(response.sessions).map(([session_id, { user_metadata }]) => ({
    session_id,
    user_metadata: user_metadata === undefined ? null : JSON.stringify(user_metadata)
  }))
  const written = [
    ...(Option.isSome(options.sessionsCsv) ? yield* writeCsv(sessions, options.sessionsCsv.value, options.rawCsv) : []),
    ...(Option.isSome(options.csv)
      ? yield* writeCsv(response.data.map(event).map(flat), options.csv.value, options.rawCsv)
      : [])
  ]
  // a JSON document must not follow CSV on standard output
  const isOnOutput = [options.csv, options.sessionsCsv].some(Option.contains("-"))
  if (options.format === "json" && !isOnOutput) yield* output.json({ written })
})

const printUsage = (format: output.Format, response: Billing.UsageResponse) => {
  const data = response.data.map(event)
  const title = data.length === 0 ? "No billing usage in this window" : `${data.length} hourly usage row(s)`
  const sessions = Object.fromEntries(
    Object.entries(response.sessions).map(([id, { user_metadata }]) => [id, { user_metadata: user_metadata ?? null }])
  )
  const cost_data_through = response.cost_data_through === undefined ? null : time(response.cost_data_through)
  return print(format, title, { data, sessions, cost_data_through }, data.map(flat).map(withUnknownCosts))
}

/** @internal */
export const usage = (options: UsageOptions) =>
  Effect.gen(function* () {
    const window = {
      starting_on: yield* parseTime("STARTING_ON", options.startingOn),
      ending_before: yield* parseTime("ENDING_BEFORE", options.endingBefore)
    }
    const response = yield* withRest(Effect.flatMap(RestClient.RestClient, (rest) => rest.getBillingUsage(window)))
    yield* Option.isSome(options.csv) || Option.isSome(options.sessionsCsv)
      ? writeUsage(options, response)
      : printUsage(options.format, response)
  })

/** @internal */
export const checkpointStorage = (options: CsvOptions & { readonly projectId: Option.Option<string> }) =>
  Effect.gen(function* () {
    const response = yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) =>
        rest.getCheckpointStorage({ project_id: Option.getOrUndefined(options.projectId) })
      )
    )
    const effective_rate_usd_per_gigabyte_month = response.effective_rate_usd_per_gigabyte_month ?? null
    const data = response.data.map((self) => ({
      project_id: self.project_id ?? null,
      org_user_urn: self.org_user_urn ?? null,
      user_email: self.user_email ?? null,
      user_name: self.user_name ?? null,
      checkpoint_count: self.checkpoint_count,
      size_bytes: self.size_bytes,
      size_gigabytes: self.size_gigabytes,
      estimated_monthly_cost_usd: self.estimated_monthly_cost_usd ?? null
    }))
    const rows = data.map((row) => ({ effective_rate_usd_per_gigabyte_month, ...row }))
    if (Option.isSome(options.csv)) {
      const written = yield* writeCsv(rows, options.csv.value, options.rawCsv)
      if (options.format === "json" && options.csv.value !== "-") yield* output.json({ written })
      return
    }
    yield* print(
      options.format,
      data.length === 0 ? "No active checkpoint storage" : "Current checkpoint storage",
      { effective_rate_usd_per_gigabyte_month, data },
      rows
    )
  })
