/** What `tinker doctor` prints: each check as it ends, the table of a trial, and the document for a bug report. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { arch, platform, version as nodeVersion } from "node:process"
import * as output from "../terminal/output.ts"
import * as settings from "../util/settings.ts"
import { version } from "../util/version.ts"
import type { Check } from "./check.ts"

/** Settings that change what the command does. Only whether they are set is reported. */
const reported = [
  "TINKER_API_KEY",
  "TINKER_CREDENTIAL_CMD",
  "TINKER_BASE_URL",
  "TINKER_BASE_MODEL",
  "TINKER_TOKENIZER",
  "TINKER_ENCODING",
  "TINKER_TELEMETRY",
  "CLOUDFLARE_ACCESS_CLIENT_ID",
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_HUB_OFFLINE",
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "NO_PROXY",
  "no_proxy",
  "NODE_EXTRA_CA_CERTS"
]

const settingsThatAreSet = Effect.map(
  Effect.forEach(reported, (name) => Effect.map(settings.optional(name), (value) => Option.as(value, name))),
  (names) => names.flatMap(Option.toArray)
)

/** A URL without what may be a secret. @internal */
export const shownUrl = (url: string): string => {
  if (!URL.canParse(url)) return url
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname === "/" ? "" : pathname}`
}

/** @internal */
export interface Report {
  readonly checks: ReadonlyArray<Check>
  readonly url: string | undefined
  /** the results of the trial; undefined if there was none */
  readonly trial: ReadonlyArray<Check> | undefined
}

/** Everything that a bug report needs, without secrets. @internal */
export const printJson = ({ checks, trial, url }: Report, ok: boolean) =>
  Effect.flatMap(settingsThatAreSet, (set) =>
    output.json({
      ok,
      version,
      node: nodeVersion,
      system: `${platform} ${arch}`,
      url: url ?? null,
      settings: set,
      checks,
      trial: trial ?? null
    })
  )

const marks = { ok: "ok", warning: "limited", failed: "broken", skipped: "not tried" } as const

/** @internal */
export const printTrial = (trial: ReadonlyArray<Check>) =>
  output.print("table", {
    json: undefined,
    table: {
      title: "What the service can do",
      columns: ["Tried", "Result", "Detail"],
      rows: trial.map(({ advice, detail, name, status }) => [
        name,
        marks[status],
        advice === undefined ? detail : `${detail}: ${advice}`
      ])
    }
  })
