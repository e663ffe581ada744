import * as DateTime from "effect/DateTime"

/** A size in steps of 1024, as the Python command shows it. @internal */
export const size = (bytes: number): string => {
  if (bytes < 0) return "N/A"
  let rest = bytes
  for (const unit of ["B", "KB", "MB", "GB", "TB", "PB"]) {
    if (rest < 1024) return unit === "B" ? `${Math.trunc(rest)} B` : `${rest.toFixed(1)} ${unit}`
    rest /= 1024
  }
  return `${rest.toFixed(1)} EB`
}

const plural = (count: number, unit: string) => `${count} ${unit}${count > 1 ? "s" : ""}`

const day = 86_400

/** How long ago, or in how long; the date when that is more than a month. @internal */
export const relative = (time: DateTime.Utc | undefined, now: number): string => {
  if (time === undefined) return "N/A"
  const millis = DateTime.toEpochMillis(time)
  const future = millis > now
  const seconds = Math.floor(Math.abs(now - millis) / 1000)
  const days = Math.floor(seconds / day)
  if (days > 30) return DateTime.formatIsoDateUtc(time)
  const said = (text: string) => (future ? `in ${text}` : `${text} ago`)
  if (days > 7) return said(plural(Math.floor(days / 7), "week"))
  if (days > 0) return said(plural(days, "day"))
  if (seconds > 3600) return said(plural(Math.floor(seconds / 3600), "hour"))
  if (seconds > 60) return said(plural(Math.floor(seconds / 60), "minute"))
  return future ? "in less than a minute" : "just now"
}

/** @internal */
export const bool = (value: boolean): string => (value ? "Yes" : "No")

/** A time as the JSON of the Python command has it: `2026-05-27 20:00:00+00:00`. @internal */
export const pythonTime = (time: DateTime.Utc): string => {
  const [date, clock] = DateTime.formatIso(time).slice(0, -1).split("T") as [string, string]
  const [whole, fraction = "000"] = clock.split(".") as [string, string?]
  return `${date} ${whole}${fraction === "000" ? "" : `.${fraction}000`}+00:00`
}

/** Whether a run trains an adapter, and of which rank. @internal */
export const lora = (run: { readonly is_lora: boolean; readonly lora_rank?: number | undefined }): string =>
  run.is_lora && run.lora_rank ? `Yes (Rank ${run.lora_rank})` : bool(run.is_lora)
